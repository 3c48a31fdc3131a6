package coffee_boat;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkEnv;
import org.apache.spark.SparkFiles;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.apache.spark.api.plugin.SparkPlugin;

/**
 * Starts the shipped interpreter once on each executor before Spark gives it tasks:
 * spark.plugins=coffee_boat.Environment.
 *
 * <p>What Spark unpacks itself (spark.archives) is there before an executor takes tasks, and an
 * executor that cannot unpack it ends. So is what the interpreter unpacks, with this. That a node
 * cannot run the interpreter is told where tasks fail, as it is then.
 *
 * <p>What it unpacks is fetched from the driver when it asks for that: once a node, or not at all.
 */
public final class Environment implements SparkPlugin {
  private static final String PYTHON = "spark.coffee_boat.python";
  /** The path of the cargo on the driver; empty if Spark sends it. */
  private static final String CARGO = "spark.coffee_boat.cargo";
  /** As coffee_boat/worker/starter/start.py says it. */
  private static final String NOT_UNPACKED =
      "coffee_boat: the environment cannot be started on this node: ";

  private static final String NAME = "name";
  private static final String URI = "uri";

  @Override
  public DriverPlugin driverPlugin() {
    return new Serve();
  }

  @Override
  public ExecutorPlugin executorPlugin() {
    return new Start();
  }

  private static final class Serve implements DriverPlugin {
    /** As SparkContext.addFile serves a file, but no executor is told to fetch it. */
    @Override
    public Map<String, String> init(SparkContext session, PluginContext context) {
      File cargo = new File(context.conf().get(CARGO, ""));
      if (cargo.getPath().isEmpty()) {
        return Collections.emptyMap();
      }
      Map<String, String> told = new HashMap<>();
      told.put(NAME, cargo.getName());
      told.put(URI, session.env().rpcEnv().fileServer().addFile(cargo));
      return told;
    }
  }

  private static final class Start implements ExecutorPlugin {
    private Thread fetching = null;

    @Override
    public void init(PluginContext context, Map<String, String> told) {
      if (context.executorID().equals("driver")) { // local mode, with a conf that was used before
        return;
      }
      if (told.containsKey(URI)) {
        fetching = new Thread(new Fetching(told.get(NAME), told.get(URI)), "coffee_boat-cargo");
        fetching.setDaemon(true);
        fetching.start();
      }
      String python = context.conf().get(PYTHON);
      start(new ProcessBuilder(python, "-I", "-c", ""), python);
    }

    @Override
    public void shutdown() {
      if (fetching != null) {
        fetching.interrupt();
      }
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

  /** Fetches the cargo whenever a starter asks for it (coffee_boat/worker/starter/cargo.py). */
  private static final class Fetching implements Runnable {
    /** Milliseconds between two looks: a file is asked for by any process, on any file system. */
    private static final long PAUSE = 100;

    private final Path cargo;
    private final Path wanted;
    private final Path failed;
    private final Path part;
    private final String uri;

    Fetching(String name, String uri) {
      Path around = new File(SparkFiles.getRootDirectory()).toPath();
      cargo = around.resolve(name);
      wanted = around.resolve(name + ".wanted");
      failed = around.resolve(name + ".failed");
      part = around.resolve(name + ".part");
      this.uri = uri;
    }

    @Override
    public void run() {
      try {
        while (true) {
          if (Files.deleteIfExists(wanted) && !Files.exists(cargo)) {
            fetch();
          }
          Thread.sleep(PAUSE);
        }
      } catch (InterruptedException error) { // the executor ends
        return;
      } catch (IOException error) { // its folder cannot be written
        System.err.println("coffee_boat: nothing is fetched any more: " + error);
      }
    }

    private void fetch() throws IOException {
      try (InputStream in = Channels.newInputStream(SparkEnv.get().rpcEnv().openChannel(uri))) {
        Files.copy(in, part, StandardCopyOption.REPLACE_EXISTING);
        Files.move(part, cargo, StandardCopyOption.ATOMIC_MOVE);
      } catch (Exception error) { // of whatever kind: Spark passes on what its channel met
        // what it had is cut off: a full disk has room for the reason
        Files.write(part, String.valueOf(error.getMessage()).getBytes(StandardCharsets.UTF_8));
        Files.move(part, failed, StandardCopyOption.ATOMIC_MOVE);
      }
    }
  }
}
