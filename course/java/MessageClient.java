import java.io.BufferedInputStream;
import java.io.IOException;
import java.net.Socket;

/**
 * The message client: sends one line, and shows what the server says to it.
 *
 *     java MessageClient [HOST [PORT]]     localhost 5000
 */
class MessageClient {
    static void call(String[] words) throws IOException {
        try (Socket server = Course.call(words, 5000)) {
            System.out.print("Please enter the message: ");
            System.out.flush();
            byte[] line = Course.readLine(new BufferedInputStream(System.in));
            if (line == null) {
                System.out.println();
                return; // nothing to say: there will be no answer
            }
            byte[] message = java.util.Arrays.copyOf(line, line.length + 1);
            message[line.length] = '\n';
            server.getOutputStream().write(message);
            server.shutdownOutput();
            byte[] answer = Course.readLine(new BufferedInputStream(server.getInputStream()));
            if (answer == null) {
                throw new Course.Failure(1, "the server closed without an answer");
            }
            System.out.write(answer, 0, answer.length);
            System.out.println();
        }
    }

    public static void main(String[] words) {
        Course.run(MessageClient::call, words);
    }
}
