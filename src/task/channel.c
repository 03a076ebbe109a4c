// Channels: a bounded queue of pointers between tasks of any threads.

#include <doorbell.h>
#include <errno.h>
#include <pthread.h>

#include "kernel/kernel.h"
#include "wait/failure.h"
#include "wait/wait.h"

enum { CAPACITY_MAX = 1 << 20 };

// A task that waits to send or to receive. It lies on the task's stack. Whoever takes it out of the list
// has decided its fate, and tells it by a post; until that has run it may not go.
struct party {
    struct list node; // in the channel's senders or receivers
    struct loop *loop;
    struct task *task;
    struct post post;
    struct wait_call call;
    void *pointer; // to send, or received
    int result;    // 1: the pointer went over; 0: the channel was ended
    bool chosen;   // guarded by the channel's lock
    bool told;     // the post has run
};

struct bell_channel {
    pthread_mutex_t lock;
    size_t capacity;
    size_t first, count;            // guarded by lock, as is everything below
    struct list senders, receivers; // in the order in which they came; never both
    bool ended;
    void *pointers[];
};

bell_channel *bell_channel_open(size_t capacity)
{
    bool fits = capacity >= 1 && capacity <= CAPACITY_MAX;
    struct bell_channel *channel = NULL;
    if (fits)
        channel = kernel->allocate(sizeof *channel + capacity * sizeof(void *));
    if (!channel) {
        failure_set(fits ? -ENOMEM : -EINVAL, "a channel for %zu pointers", capacity);
        return NULL;
    }
    (void)pthread_mutex_init(&channel->lock, NULL);
    channel->capacity = capacity;
    list_init(&channel->senders);
    list_init(&channel->receivers);
    return channel;
}

void bell_channel_close(bell_channel *channel)
{
    if (!channel)
        return;
    (void)pthread_mutex_destroy(&channel->lock);
    kernel->release(channel);
}

// ---- The queue; called with the lock held -----------------------------------------------------

static void push(struct bell_channel *channel, void *pointer)
{
    channel->pointers[(channel->first + channel->count++) % channel->capacity] = pointer;
}

static void *pull(struct bell_channel *channel)
{
    void *pointer = channel->pointers[channel->first];
    channel->first = (channel->first + 1) % channel->capacity;
    channel->count--;
    return pointer;
}

static void party_told(struct post *post)
{
    struct party *party = LIST_ENTRY(post, struct party, post);
    party->told = true;
    if (wait_is_waiting(&party->call))
        wait_complete(&party->call, 0);
    else
        task_wake(party->task);
}

// Takes the first party out of the list and tells it the result. NULL when there is none. Its memory
// is there until the post has run, on its own loop; so `result` is set before.
static struct party *choose(struct list *list)
{
    struct list *node = list_take(list);
    if (!node)
        return NULL;
    struct party *party = LIST_ENTRY(node, struct party, node);
    party->chosen = true;
    return party;
}

static void tell(struct party *party, int result)
{
    party->result = result;
    party->post.run = party_told;
    if (party->loop == loop_here())
        party_told(&party->post);
    else
        loop_post(party->loop, &party->post);
}

// ---- Waiting ----------------------------------------------------------------------------------

// Waits in the list until somebody chose this party. Called with the lock held, returns without it:
// 0 when it was chosen, or why it cannot wait longer.
static int wait_in(struct bell_channel *channel, struct list *list, struct party *party,
                   int64_t deadline)
{
    int rc = 0;
    party->task = task_here(&rc);
    if (!party->task) {
        (void)pthread_mutex_unlock(&channel->lock);
        return rc;
    }
    party->loop = party->task->loop;
    party->call.kind = WAIT_WAKE;
    party->call.deadline = deadline;
    list_append(list, &party->node);
    (void)pthread_mutex_unlock(&channel->lock);

    rc = (int)wait_for(&party->call);
    if (rc == 0)
        return 0;
    (void)pthread_mutex_lock(&channel->lock);
    bool chosen = party->chosen;
    list_remove(&party->node);
    (void)pthread_mutex_unlock(&channel->lock);
    while (chosen && !party->told)
        task_pause(party->task);
    return chosen ? 0 : rc;
}

// ---- The public calls -------------------------------------------------------------------------

int bell_channel_send(bell_channel *channel, void *pointer, int64_t deadline)
{
    (void)pthread_mutex_lock(&channel->lock);
    struct party *receiver = NULL;
    int rc = 0;
    if (channel->ended)
        rc = -EPIPE;
    else if ((receiver = choose(&channel->receivers))) {
        receiver->pointer = pointer;
        tell(receiver, 1);
    } else if (channel->count < channel->capacity)
        push(channel, pointer);
    else if (deadline == WAIT_NOT)
        rc = -ETIMEDOUT;
    else {
        struct party self = {.pointer = pointer};
        rc = wait_in(channel, &channel->senders, &self, deadline);
        if (rc == 0 && self.result == 0)
            rc = -EPIPE;
        return rc < 0 ? failure_set(rc, "send to a channel") : 0;
    }
    (void)pthread_mutex_unlock(&channel->lock);
    return rc < 0 ? failure_set(rc, "send to a channel") : 0;
}

int bell_channel_receive(bell_channel *channel, void **ret_pointer, int64_t deadline)
{
    (void)pthread_mutex_lock(&channel->lock);
    int rc = 1;
    if (channel->count > 0) {
        *ret_pointer = pull(channel);
        struct party *sender = choose(&channel->senders);
        if (sender) {
            push(channel, sender->pointer);
            tell(sender, 1);
        }
    } else if (channel->ended) {
        rc = 0;
    } else if (deadline == WAIT_NOT) {
        rc = -ETIMEDOUT;
    } else {
        struct party self = {.pointer = NULL};
        rc = wait_in(channel, &channel->receivers, &self, deadline);
        if (rc == 0)
            rc = self.result;
        if (rc == 1)
            *ret_pointer = self.pointer;
        return rc < 0 ? failure_set(rc, "receive from a channel") : rc;
    }
    (void)pthread_mutex_unlock(&channel->lock);
    return rc < 0 ? failure_set(rc, "receive from a channel") : rc;
}

void bell_channel_end(bell_channel *channel)
{
    (void)pthread_mutex_lock(&channel->lock);
    channel->ended = true;
    struct party *party;
    while ((party = choose(&channel->receivers)))
        tell(party, 0);
    while ((party = choose(&channel->senders)))
        tell(party, 0);
    (void)pthread_mutex_unlock(&channel->lock);
}
