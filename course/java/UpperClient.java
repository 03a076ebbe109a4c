import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;

/**
 * The sentence client: reads lines, has the server put them in capitals, and shows the answers.
 *
 *     java UpperClient [HOST [PORT]]     localhost 6789
 */
class UpperClient {
    static void ask(String[] words) throws IOException {
        InputStream keyboard = new BufferedInputStream(System.in);
        try (Socket server = Course.call(words, 6789)) {
            InputStream in = new BufferedInputStream(server.getInputStream());
            for (byte[] line; (line = Course.readLine(keyboard)) != null;) {
                byte[] question = java.util.Arrays.copyOf(line, line.length + 1);
                question[line.length] = '\n';
                Course.sayBeside(server, question);
                byte[] answer = Course.readLine(in);
                if (answer == null) {
                    throw new Course.Failure(1, "the server closed without an answer");
                }
                System.out.print("FROM SERVER: ");
                System.out.write(answer, 0, answer.length);
                System.out.println();
            }
        }
    }

    public static void main(String[] words) {
        Course.run(UpperClient::ask, words);
    }
}
