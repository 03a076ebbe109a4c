import java.io.IOException;
import java.net.Socket;

/**
 * The echo client: sends its input to the server, and shows what comes back.
 *
 *     java EchoClient [HOST [PORT]]     localhost 5000
 */
class EchoClient {
    static void call(String[] words) throws IOException {
        try (Socket server = Course.call(words, 5000)) {
            long[] counts = Course.converse(server);
            if (counts[1] < counts[0]) {
                throw new Course.Failure(1, "the server closed before everything had come back");
            }
        }
    }

    public static void main(String[] words) {
        Course.run(EchoClient::call, words);
    }
}
