import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;

/**
 * Each value of a stream is what a Python function makes of it; None drops the record. A record
 * without a value (a tombstone) goes on as it is. A task of Streams has a worker of its own, which
 * ends with it.
 *
 * <p>This is what a ValueTransformer was before Kafka 4, which has no KStream.transformValues.
 */
public final class PythonValues<K> extends ContextualFixedKeyProcessor<K, String, String> {
  private final String python;
  private final String function;
  private PythonPipe pipe;

  private PythonValues(String python, String function) {
    this.python = python;
    this.function = function;
  }

  /** For KStream.processValues. */
  public static <K> FixedKeyProcessorSupplier<K, String, String> of(String python, String function) {
    return () -> new PythonValues<>(python, function);
  }

  @Override
  public void init(FixedKeyProcessorContext<K, String> context) {
    super.init(context);
    pipe = new PythonPipe(python, function, 3);
  }

  @Override
  public void process(FixedKeyRecord<K, String> record) {
    if (record.value() == null) {
      context().forward(record);
      return;
    }
    String made = pipe.call(record.value());
    if (made != null) {
      context().forward(record.withValue(made));
    }
  }

  @Override
  public void close() {
    pipe.close();
  }
}
