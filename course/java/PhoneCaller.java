import java.io.IOException;
import java.net.Socket;

/**
 * Calls a phone server, says what its input holds, and shows what comes until it hangs up.
 *
 *     java PhoneCaller [HOST [PORT]]     localhost 5000
 */
class PhoneCaller {
    static void call(String[] words) throws IOException {
        try (Socket server = Course.call(words, 5000)) {
            long[] counts = Course.converse(server);
            if (counts[0] > 0 && counts[1] == 0) {
                throw new Course.Failure(1, "the server closed without an answer");
            }
        }
    }

    public static void main(String[] words) {
        Course.run(PhoneCaller::call, words);
    }
}
