// Channels: a bounded queue of pointers between tasks of any threads.

#include <doorbell.h>
#include <errno.h>
#include <pthread.h>

#include "kernel/kernel.h"
#include "wait/failure.h"
#include "wait/wait.h"

enum { CAPACITY_MAX = 1 << 20 };

// A task that never has to wait here lets the others of its loop run after so many calls.
enum { STREAK_MAX = 32 };

// A task that waits to send or to receive. It lies on the task's stack. Whoever takes it out of the list
// has decided its fate, and tells it by a post; until that has run it may not go.
struct party {
    struct list node; // in the channel's senders or receivers
    struct task *task;
    struct wait_call call;
    struct post post;
    void *pointer; // to send, or received
    int result;    // 1: the pointer went over; 0: the channel was ended
    bool chosen;   // guarded by the channel's lock
    bool told;     // the post has run; only its own loop looks at this
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
    // Whoever sent the pointer, or the end, that made us close it may be still on his way out.
    (void)pthread_mutex_lock(&channel->lock);
    (void)pthread_mutex_unlock(&channel->lock);
    (void)pthread_mutex_destroy(&channel->lock);
    kernel->release(channel);
}

// ---- The queue, and those who wait; called with the lock held -----------------------------------

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

// Takes the first party out of the list; tell() must follow. NULL when there is none.
static struct party *choose(struct list *list)
{
    struct list *node = list_take(list);
    if (!node)
        return NULL;
    struct party *party = LIST_ENTRY(node, struct party, node);
    party->chosen = true;
    return party;
}

// On the party's own loop.
static void party_told(struct post *post)
{
    struct party *party = LIST_ENTRY(post, struct party, post);
    party->told = true;
    if (wait_is_waiting(&party->call))
        wait_complete(&party->call, 0);
    else
        task_wake(party->task); // it waits for this alone; see wait_in
}

// Afterwards the party may be gone.
static void tell(struct party *party, int result)
{
    party->result = result;
    party->post.run = party_told;
    if (party->task->loop == loop_here())
        party_told(&party->post);
    else
        loop_post(party->task->loop, &party->post);
}

// ---- Waiting ----------------------------------------------------------------------------------

// Asked before a call that may wait. What need not wait works for a cancelled task, too: it may have to
// empty its channel.
static int check_task(int64_t deadline)
{
    if (deadline == WAIT_NOT)
        return 0;
    int rc = 0;
    struct task *self = task_here(&rc);
    if (!self)
        return rc;
    if (++self->streak >= STREAK_MAX)
        task_yield(self);
    return self->cancelled;
}

// Waits in the list until somebody chose this party. Called with the lock held, returns without it:
// 0 when it was chosen, or why it cannot wait longer.
static int wait_in(struct bell_channel *channel, struct list *list, struct party *party,
                   int64_t deadline)
{
    party->task = task_here(NULL); // it is there: see check_task
    party->call.kind = WAIT_WAKE;
    party->call.deadline = deadline;
    list_append(list, &party->node);
    (void)pthread_mutex_unlock(&channel->lock);

    int rc = (int)wait_for(&party->call);
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

// With the lock held: 0, -EPIPE, or -EAGAIN when there is no room.
static int try_send(struct bell_channel *channel, void *pointer)
{
    if (channel->ended)
        return -EPIPE;
    struct party *receiver = choose(&channel->receivers);
    if (receiver) {
        receiver->pointer = pointer;
        tell(receiver, 1);
        return 0;
    }
    if (channel->count == channel->capacity)
        return -EAGAIN;
    push(channel, pointer);
    return 0;
}

int bell_channel_send(bell_channel *channel, void *pointer, int64_t deadline)
{
    int rc = check_task(deadline);
    if (rc < 0)
        return failure_set(rc, "send to a channel");
    (void)pthread_mutex_lock(&channel->lock);
    rc = try_send(channel, pointer);
    if (rc == -EAGAIN && deadline != WAIT_NOT) {
        struct party self = {.pointer = pointer};
        rc = wait_in(channel, &channel->senders, &self, deadline);
        if (rc == 0 && self.result == 0)
            rc = -EPIPE;
    } else {
        (void)pthread_mutex_unlock(&channel->lock);
    }
    if (rc == -EPIPE)
        return failure_say(rc, "send to a channel: it was ended");
    return rc < 0 ? failure_set(rc == -EAGAIN ? -ETIMEDOUT : rc, "send to a channel") : 0;
}

// With the lock held: 1, 0 at the end, or -EAGAIN when nothing is there.
static int try_receive(struct bell_channel *channel, void **ret_pointer)
{
    if (channel->count == 0)
        return channel->ended ? 0 : -EAGAIN;
    *ret_pointer = pull(channel);
    struct party *sender = choose(&channel->senders);
    if (sender) {
        push(channel, sender->pointer);
        tell(sender, 1);
    }
    return 1;
}

int bell_channel_receive(bell_channel *channel, void **ret_pointer, int64_t deadline)
{
    int rc = check_task(deadline);
    if (rc < 0)
        return failure_set(rc, "receive from a channel");
    (void)pthread_mutex_lock(&channel->lock);
    rc = try_receive(channel, ret_pointer);
    if (rc == -EAGAIN && deadline != WAIT_NOT) {
        struct party self = {.pointer = NULL};
        rc = wait_in(channel, &channel->receivers, &self, deadline);
        if (rc == 0)
            rc = self.result;
        if (rc == 1)
            *ret_pointer = self.pointer;
    } else {
        (void)pthread_mutex_unlock(&channel->lock);
    }
    return rc < 0 ? failure_set(rc == -EAGAIN ? -ETIMEDOUT : rc, "receive from a channel") : rc;
}

void bell_channel_end(bell_channel *channel)
{
    if (!channel)
        return;
    (void)pthread_mutex_lock(&channel->lock);
    channel->ended = true;
    struct party *party;
    while ((party = choose(&channel->receivers)))
        tell(party, 0);
    while ((party = choose(&channel->senders)))
        tell(party, 0);
    (void)pthread_mutex_unlock(&channel->lock);
}
