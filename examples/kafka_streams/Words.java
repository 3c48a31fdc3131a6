import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;

/** java Words BROKER FROM TO PYTHON FUNCTION: a topic through a Python function into another one. */
public final class Words {
  public static void main(String[] words) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "words");
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, words[0]);
    settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    settings.put("auto.offset.reset", "earliest");
    String folder = System.getProperty("state.dir");
    if (folder != null) {
      settings.put(StreamsConfig.STATE_DIR_CONFIG, folder);
    }
    StreamsBuilder stream = new StreamsBuilder();
    stream.<String, String>stream(words[1])
        .processValues(PythonValues.of(words[3], words[4]))
        .to(words[2]);
    KafkaStreams streams = new KafkaStreams(stream.build(), settings);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }
}
