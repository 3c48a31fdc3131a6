package coffee_boat;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.spark.SparkEnv;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.apache.spark.api.plugin.SparkPlugin;

/**
 * Starts the shipped interpreter once on each executor before Spark gives it tasks:
 * spark.plugins=coffee_boat.Environment.
 *
 * <p>What Spark unpacks itself (spark.archives) is there before an executor takes tasks, and an
 * executor that cannot unpack it ends. So is what the interpreter unpacks, with this. An interpreter
 * that the node cannot run is told where tasks fail, as it is then.
 */
public final class Environment implements SparkPlugin {
  private static final String PYTHON = "spark.coffee_boat.python";
  /** As coffee_boat/worker/starter/start.py says it. */
  private static final String NOT_UNPACKED =
      "coffee_boat: the environment cannot be started on this node: ";

  @Override
  public DriverPlugin driverPlugin() {
    return null;
  }

  @Override
  public ExecutorPlugin executorPlugin() {
    return new Start();
  }

  private static final class Start implements ExecutorPlugin {
    @Override
    public void init(PluginContext context, Map<String, String> conf) {
      if (context.executorID().equals("driver")) { // local mode, with a conf that was used before
        return;
      }
      String python = context.conf().get(PYTHON);
      start(new ProcessBuilder(python, "-I", "-c", ""), python);
    }

    private static void start(ProcessBuilder builder, String python) {
      File[] folders = SparkEnv.get().blockManager().diskBlockManager().localDirs();
      // as org.apache.spark.api.python.BasePythonRunner tells each Python
      builder
          .environment()
          .put("SPARK_LOCAL_DIRS", Arrays.stream(folders).map(File::getPath).collect(
              Collectors.joining(",")));
      builder.redirectInput(new File("/dev/null")).redirectErrorStream(true);
      try {
        Process process = builder.start();
        Thread end = new Thread(process::destroy);
        Runtime.getRuntime().addShutdownHook(end);
        String last = shown(process.getInputStream());
        int code = process.waitFor();
        Runtime.getRuntime().removeShutdownHook(end);
        if (code != 0 && last.startsWith(NOT_UNPACKED)) {
          // Spark tells the driver the message, as the reason of a lost executor
          throw new IllegalStateException(last);
        }
      } catch (IOException error) {
        System.err.println(python + " cannot be started: " + error.getMessage());
      } catch (InterruptedException error) { // the executor ends
        throw new IllegalStateException(error);
      }
    }

    /** Passes on what it says, to the executor's stderr; its last line. */
    private static String shown(InputStream said) throws IOException {
      String last = "";
      BufferedReader lines =
          new BufferedReader(new InputStreamReader(said, StandardCharsets.UTF_8));
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        System.err.println(line);
        last = line;
      }
      return last;
    }
  }
}
