import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * A Python function in a process of its own, for one thread: `python -m coffee_boat_worker.pipe`.
 *
 * <p>A worker that dies is started again, and what it had not answered is sent once more. What the
 * function raises is a {@link PythonException}; the worker goes on. There is no queue: who calls
 * waits for the answer, so whoever sends records is held back as long as Python needs.
 */
public final class PythonPipe implements AutoCloseable {
  /** What the function raised, with Python's traceback. */
  public static final class PythonException extends RuntimeException {
    PythonException(String traceback) {
      super(traceback);
    }
  }

  private static final int NULL = -1;
  private static final int FAILED = -2;

  /** Bytes that are sent before answers are read: less than a pipe of Linux holds (65,536). */
  private static final int WINDOW = 1 << 15;

  private final String[] command;
  private final int restarts;
  private Process worker;
  private DataOutputStream to;
  private DataInputStream from;

  /**
   * @param python the interpreter of an unpacked archive, as /opt/boat/bin/python
   * @param function as mypkg.text:transform
   * @param restarts how often one call may start a new worker before it gives up
   */
  public PythonPipe(String python, String function, int restarts) {
    this.command = new String[] {python, "-m", "coffee_boat_worker.pipe", function};
    this.restarts = restarts;
  }

  /** What the function returns for a text; null is None, both ways. */
  public String call(String text) {
    return callAll(java.util.Collections.singletonList(text)).get(0);
  }

  /** The same for several at once, which takes less time for each. */
  public List<String> callAll(List<String> texts) {
    List<String> answers = new ArrayList<>(texts.size());
    int left = restarts;
    int sent = 0;
    while (answers.size() < texts.size()) {
      try {
        start();
        sent = send(texts, answers.size());
        for (to.flush(); answers.size() < sent; ) {
          answers.add(answer());
        }
      } catch (IOException died) {
        stop();
        if (left-- == 0) {
          throw new IllegalStateException(String.join(" ", command) + " does not stay up", died);
        }
      } catch (PythonException raised) {
        if (answers.size() + 1 < sent) {
          stop(); // answers to what was sent after it wait in the pipe
        }
        throw raised;
      }
    }
    return answers;
  }

  private int send(List<String> texts, int first) throws IOException {
    int next = first;
    for (int bytes = 0; next < texts.size() && (next == first || bytes < WINDOW); next++) {
      byte[] data = texts.get(next) == null ? null : texts.get(next).getBytes(StandardCharsets.UTF_8);
      int size = data == null ? 0 : data.length;
      if (next > first && bytes + size + 4 > WINDOW) {
        break;
      }
      bytes += size + 4;
      to.writeInt(data == null ? NULL : size);
      if (data != null) {
        to.write(data);
      }
    }
    return next;
  }

  private String answer() throws IOException {
    int size = from.readInt();
    if (size == FAILED) {
      throw new PythonException(text(from.readInt()));
    }
    return size == NULL ? null : text(size);
  }

  private String text(int size) throws IOException {
    byte[] data = new byte[size];
    from.readFully(data);
    return new String(data, StandardCharsets.UTF_8);
  }

  private void start() throws IOException {
    if (worker != null) {
      return;
    }
    worker = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    to = new DataOutputStream(new BufferedOutputStream(worker.getOutputStream(), WINDOW));
    from = new DataInputStream(new java.io.BufferedInputStream(worker.getInputStream()));
  }

  private void stop() {
    if (worker != null) {
      worker.destroyForcibly();
      worker = null;
    }
  }

  /** End the worker: its input ends. */
  @Override
  public void close() {
    if (worker != null) {
      try {
        to.close();
        if (!worker.waitFor(10, java.util.concurrent.TimeUnit.SECONDS)) {
          worker.destroyForcibly();
        }
      } catch (IOException | InterruptedException error) {
        worker.destroyForcibly();
      }
      worker = null;
    }
  }
}
