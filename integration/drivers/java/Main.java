package com.example;

import java.util.List;
import org.apache.spark.ml.Pipeline;
import org.apache.spark.ml.PipelineModel;
import org.apache.spark.ml.PipelineStage;
import org.apache.spark.ml.feature.HashingTF;
import org.apache.spark.ml.feature.SQLTransformer;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.functions;

/** An application that knows nothing of coffee_boat, in Java that Janino compiles, too. */
public class Main {
  private static void tell(String what, Dataset data) {
    List rows = data.collectAsList();
    for (int at = 0; at < rows.size(); at++) {
      System.out.println("TOLD " + what + " " + ((Row) rows.get(at)).mkString(" | "));
    }
  }

  private static Dataset documents(SparkSession spark) {
    return spark.sql("SELECT * FROM VALUES ('hi boo'), ('boo') AS t(text)").repartition(2);
  }

  /** The talk's SpacyTokenizePython: a Transformer of the JVM that names a Python function. */
  private static PipelineStage tokenizer() {
    SQLTransformer found = new SQLTransformer();
    found.setStatement("SELECT *, tokenize(text) AS tokens FROM __THIS__");
    return found;
  }

  private static void pipeline(SparkSession spark, String path) throws Exception {
    Dataset documents = documents(spark);
    tell("alone", ((SQLTransformer) tokenizer()).transform(documents).selectExpr(
        new String[] {"tokens[0]"}));
    HashingTF hashing = new HashingTF();
    hashing.setInputCol("tokens");
    hashing.setOutputCol("features");
    Pipeline pipeline = new Pipeline();
    pipeline.setStages(new PipelineStage[] {tokenizer(), hashing});
    PipelineModel model = pipeline.fit(documents);
    model.write().overwrite().save(path);
    PipelineModel loaded = PipelineModel.load(path);
    tell("pipeline", loaded.transform(documents).selectExpr(new String[] {"tokens[0]", "features"}));
  }

  public static void main(String[] arguments) throws Exception {
    SparkSession spark = SparkSession.builder().appName("of the program").getOrCreate();
    System.out.println("TOLD arguments " + String.join(" | ", arguments));
    if (arguments[0].equals("raise")) {
      throw new IllegalStateException("out of main");
    }
    Column[] text = new Column[] {functions.col("text")};
    tell("call_udf", documents(spark).select(new Column[] {functions.call_udf("tokenize", text)}));
    tell("table", spark.sql("SELECT * FROM words('a bcd')"));
    if (arguments[0].equals("exit")) {
      tell("pandas", spark.sql("SELECT longer(id) FROM range(2)"));
      pipeline(spark, arguments[1]);
    }
    try {
      spark.sql("SELECT broken('these words')").collectAsList();
    } catch (Exception error) {
      System.out.println("TOLD error " + error.getMessage().contains("no such word: these words"));
    }
    if (arguments[0].equals("exit")) {
      System.exit(7);
    }
    if (arguments[0].equals("fail")) {
      throw new IllegalStateException("at the end");
    }
  }
}
