import java.io.ByteArrayInputStream;
import java.lang.reflect.Method;

/**
 * Runs another program so many times in one machine: to start one takes longer than a hundred calls. Each time
 * its input is the line.
 *
 *     java Often COUNT LINE PROGRAM [ARGUMENT...]
 */
class Often {
    public static void main(String[] words) throws Exception {
        byte[] line = (words[1] + '\n').getBytes();
        Method program = Class.forName(words[2]).getDeclaredMethod("main", String[].class);
        String[] rest = java.util.Arrays.copyOfRange(words, 3, words.length);
        for (int i = 0; i < Integer.parseInt(words[0]); i++) {
            System.setIn(new ByteArrayInputStream(line));
            program.invoke(null, (Object) rest);
        }
    }
}
