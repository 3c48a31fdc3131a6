package coffee_boat;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkEnv;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.FunctionIdentifier;
import org.apache.spark.sql.catalyst.expressions.ExpressionInfo;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;
import scala.Option;
import scala.Tuple3;
import scala.runtime.AbstractFunction0;
import scala.runtime.AbstractFunction1;
import scala.runtime.BoxedUnit;

/**
 * Gives each session that Spark starts by itself (spark-sql, spark-shell, the Thrift server) Python
 * functions by names of SQL: spark.sql.extensions=coffee_boat.Functions.
 *
 * <p>One class for Spark 3.5 to 4.3 and for Scala 2.12 and 2.13: what differs between them is
 * called by reflection. No Python runs here.
 *
 * <p>A word of spark.coffee_boat.functions is one function, its fields between commas: name, kind
 * (function, table), PythonEvalType, deterministic, interpreter, version of Python, how the return
 * type is said (words, json, none), the return type, the pickled function. Interpreter, return type
 * and function are in base64.
 */
public final class Functions extends AbstractFunction1<SparkSessionExtensions, BoxedUnit> {
  private static final String FUNCTIONS = "spark.coffee_boat.functions";
  private static final String ENVIRONMENT = "spark.executorEnv.";
  private static final String PACKAGE = "org.apache.spark.sql.execution.python.";

  @Override
  public BoxedUnit apply(SparkSessionExtensions extensions) {
    SparkConf conf = SparkEnv.get().conf();
    for (String word : conf.get(FUNCTIONS, "").split("\\s+")) {
      if (!word.isEmpty()) {
        add(extensions, new Function(word.split(",", -1), conf));
      }
    }
    return BoxedUnit.UNIT;
  }

  private static void add(SparkSessionExtensions extensions, Function function) {
    ExpressionInfo info = new ExpressionInfo(PACKAGE + function.builder(), function.name);
    Object described = new Tuple3<>(new FunctionIdentifier(function.name), info, function);
    call(extensions, function.table ? "injectTableFunction" : "injectFunction", described);
  }

  /** Builds what stands in a query for a call: made when it is called first, as Spark's parser
   * reads the return type. */
  private static final class Function extends AbstractFunction1<Object, Object> {
    private final String name;
    private final boolean table;
    private final String[] fields;
    private final SparkConf conf;
    private Object made;

    Function(String[] fields, SparkConf conf) {
      this.fields = fields;
      this.conf = conf;
      this.name = fields[0];
      this.table = fields[1].equals("table");
    }

    String builder() {
      return table ? "UserDefinedPythonTableFunction" : "UserDefinedPythonFunction";
    }

    @Override
    public synchronized Object apply(Object arguments) {
      if (made == null) {
        made = make();
      }
      if (!table) {
        return call(made, "builder", arguments);
      }
      return call(made, "builder", withParser(made, arguments));
    }

    private Object make() {
      int kind = Integer.parseInt(fields[2]);
      boolean deterministic = Boolean.parseBoolean(fields[3]);
      DataType returns = returnType();
      Object function = pythonFunction(returns);
      List<Object> values = new ArrayList<>();
      values.add(name);
      values.add(function);
      if (!table) {
        values.add(returns);
      } else if (returns != null) {
        values.add((StructType) returns);
      }
      values.add(kind);
      values.add(deterministic);
      return made(PACKAGE + builder(), values);
    }

    /** Null if the function says it itself when a query is planned. */
    private DataType returnType() {
      String said = text(fields[7]);
      if (fields[6].equals("json")) {
        return DataType.fromJson(said);
      }
      if (fields[6].equals("none")) {
        return null;
      }
      if (table) {
        return StructType.fromDDL(said);
      }
      try {
        return DataType.fromDDL(said);
      } catch (Exception error) { // as pyspark: "name type, name type" is a struct, too
        return DataType.fromDDL("struct<" + said + ">");
      }
    }

    private Object pythonFunction(DataType returns) {
      byte[] function = Base64.getDecoder().decode(fields[8]);
      byte[] command = table ? function : withType(function, returns.json());
      Map<String, String> environment = new HashMap<>();
      environment.put("PYTHONHASHSEED", "0");
      for (scala.Tuple2<String, String> pair : conf.getAll()) {
        if (pair._1().startsWith(ENVIRONMENT)) {
          environment.put(pair._1().substring(ENVIRONMENT.length()), pair._2());
        }
      }
      List<Object> values = new ArrayList<>();
      values.add(command);
      values.add(environment);
      values.add(new ArrayList<>()); // modules: what is shipped is beside the interpreter
      values.add(text(fields[4]));
      values.add(fields[5]);
      values.add(new ArrayList<>()); // broadcast variables
      values.add(null); // accumulators, which only a driver in Python reads
      return made("org.apache.spark.api.python.SimplePythonFunction", values);
    }
  }

  private static String text(String base64) {
    return new String(Base64.getDecoder().decode(base64), StandardCharsets.UTF_8);
  }

  /** Pickles (function, return type), as pyspark's workers expect it: pickle.loads of the function,
   * and pyspark's reader of a type in JSON. */
  static byte[] withType(byte[] function, String type) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      out.write(new byte[] {(byte) 0x80, 3});
      out.writeBytes("cpickle\nloads\n");
      sized(out, 'B', function);
      out.write(new byte[] {(byte) 0x85, 'R'});
      out.writeBytes("cpyspark.sql.types\n_parse_datatype_json_string\n");
      sized(out, 'X', type.getBytes(StandardCharsets.UTF_8));
      out.write(new byte[] {(byte) 0x85, 'R', (byte) 0x86, '.'});
    } catch (IOException impossible) {
      throw new IllegalStateException(impossible);
    }
    return bytes.toByteArray();
  }

  private static void sized(DataOutputStream out, char kind, byte[] bytes) throws IOException {
    out.writeByte(kind);
    out.writeInt(Integer.reverseBytes(bytes.length));
    out.write(bytes);
  }

  /** An instance, by the constructor that takes these values. */
  private static Object made(String name, List<Object> values) {
    for (Constructor<?> each : loaded(name).getConstructors()) {
      Object made = tried(each, values);
      if (made != null) {
        return made;
      }
    }
    throw new IllegalStateException("this Spark's " + name + " is not known");
  }

  /** An instance, or null if the constructor takes other values; more of them, which newer Sparks
   * have, are empty lists. */
  private static Object tried(Constructor<?> constructor, List<Object> values) {
    Class<?>[] kinds = constructor.getParameterTypes();
    Object[] given = new Object[kinds.length];
    for (int at = 0; at < kinds.length; at++) {
      given[at] = at < values.size() ? values.get(at) : new ArrayList<>();
      if (!takes(kinds[at], given[at])) {
        return null;
      }
    }
    try {
      return kinds.length < values.size() ? null : constructor.newInstance(given);
    } catch (ReflectiveOperationException error) {
      throw raised(error);
    }
  }

  private static boolean takes(Class<?> kind, Object value) {
    if (kind == int.class) {
      return value instanceof Integer;
    }
    if (kind == boolean.class) {
      return value instanceof Boolean;
    }
    return value == null || kind.isInstance(value);
  }

  /** The arguments of a table function's builder: newer Sparks hand it the session's parser, too. */
  private static Object[] withParser(Object made, Object arguments) {
    for (Method method : made.getClass().getMethods()) {
      if (method.getName().equals("builder") && method.getParameterCount() == 2) {
        Class<?> kind = method.getParameterTypes()[1];
        return new Object[] {arguments, kind == scala.Function0.class ? new Parser() : parser()};
      }
    }
    return new Object[] {arguments};
  }

  private static final class Parser extends AbstractFunction0<Object> {
    @Override
    public Object apply() {
      return parser();
    }
  }

  private static Object parser() {
    Object session = call(loaded("org.apache.spark.sql.SparkSession"), "active");
    return call(call(session, "sessionState"), "sqlParser");
  }

  private static Class<?> loaded(String name) {
    try {
      return Class.forName(name, true, Functions.class.getClassLoader());
    } catch (ClassNotFoundException error) {
      throw raised(error);
    }
  }

  /** Calls a method of an object, or a static one of a class. */
  private static Object call(Object owner, String name, Object... values) {
    boolean isStatic = owner instanceof Class;
    Class<?> kind = isStatic ? (Class<?>) owner : owner.getClass();
    for (Method method : kind.getMethods()) {
      if (method.getName().equals(name)
          && method.getParameterCount() == values.length
          && !method.isBridge()) {
        try {
          return method.invoke(isStatic ? null : owner, values);
        } catch (ReflectiveOperationException error) {
          throw raised(error);
        }
      }
    }
    throw new IllegalStateException("this Spark has no " + kind.getName() + "." + name);
  }

  /** What a call by reflection raised, as it was raised. */
  private static RuntimeException raised(ReflectiveOperationException error) {
    Throwable cause = error instanceof InvocationTargetException ? error.getCause() : error;
    Functions.<RuntimeException>sneaky(cause);
    return new IllegalStateException(cause);
  }

  @SuppressWarnings("unchecked")
  private static <E extends Throwable> void sneaky(Throwable error) throws E {
    throw (E) error;
  }
}
