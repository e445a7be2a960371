/**
 * Datagrams through the real kernel: a socket in one network namespace sends them with sendmmsg, one in another takes
 * them with recvmmsg, in turn and in one process on one CPU, so that its CPU time has everything: system calls, the
 * sender's stack, and the softirqs in which veth's far end receives. What ksoftirqd has taken over is read from
 * its schedstat and added.
 *
 *   road SENDER-NETNS SENDER-IP RECEIVER-NETNS RECEIVER-IP SIZE COUNT CPU
 *
 * Prints one line of JSON; sendNs is until the datagrams lie in the receiver's queue, recvNs is for taking them out.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define PORT 5000
#define MAX_SIZE 9000

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long long cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/** ns that ksoftirqd of a CPU has run, 0 where it can't be read. */
static unsigned long long ksoftirqd_ns(int cpu)
{
	char wanted[32], path[300], comm[32];
	unsigned long long ns = 0;
	static int pid = -1;
	if (pid < 0) {
		DIR *dir = opendir("/proc");
		struct dirent *entry;
		snprintf(wanted, sizeof wanted, "ksoftirqd/%d\n", cpu);
		pid = 0;
		while (dir && !pid && (entry = readdir(dir))) {
			snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
			FILE *f = fopen(path, "r");
			if (!f)
				continue;
			if (fgets(comm, sizeof comm, f) && !strcmp(comm, wanted))
				pid = atoi(entry->d_name);
			fclose(f);
		}
		if (dir)
			closedir(dir);
	}
	if (pid == 0)
		return 0;
	snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &ns) != 1)
		ns = 0;
	fclose(f);
	return ns;
}

/** A UDP socket in a namespace, bound to an address and port (0 = any). */
static int udp_in(const char *netns, const char *ip, int port)
{
	char path[300];
	snprintf(path, sizeof path, "/run/netns/%s", netns);
	int ns = open(path, O_RDONLY);
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		fail(path);
	close(ns);
	int sk = socket(AF_INET, SOCK_DGRAM, 0);
	int bytes = 4 << 20;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	inet_pton(AF_INET, ip, &at.sin_addr);
	if (sk < 0 || bind(sk, (struct sockaddr *)&at, sizeof at))
		fail(ip);
	setsockopt(sk, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
	setsockopt(sk, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
	return sk;
}

static struct mmsghdr out[BATCH], in[BATCH];
static struct iovec out_vec[BATCH], in_vec[BATCH];
static char out_data[MAX_SIZE], in_data[BATCH][MAX_SIZE];
static long sent, received, bytes;
static unsigned long long send_ns, recv_ns;

static void turn(int source, int sink, int count)
{
	unsigned long long start = cpu_ns(), between;
	for (int done = 0; done < count;) {
		int n = sendmmsg(source, out + done, count - done, 0);
		if (n < 0)
			fail("sendmmsg");
		done += n;
	}
	sent += count;
	between = cpu_ns();
	send_ns += between - start;
	/* ksoftirqd may still be at it: what has not come within 100 ms is lost. */
	for (int done = 0; done < count;) {
		int n = recvmmsg(sink, in, count - done, MSG_DONTWAIT, NULL);
		if (n < 0) {
			struct pollfd waiting = { .fd = sink, .events = POLLIN };
			if (errno != EAGAIN)
				fail("recvmmsg");
			if (poll(&waiting, 1, 100) == 0)
				break;
			continue;
		}
		for (int i = 0; i < n; i++)
			bytes += in[i].msg_len;
		received += n;
		done += n;
	}
	recv_ns += cpu_ns() - between;
}

int main(int argc, char **argv)
{
	if (argc != 8) {
		fprintf(stderr, "road SENDER-NETNS SENDER-IP RECEIVER-NETNS RECEIVER-IP SIZE COUNT CPU\n");
		return 2;
	}
	int size = atoi(argv[5]), cpu = atoi(argv[7]);
	long count = atol(argv[6]);
	if (size > MAX_SIZE)
		return 2;
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set))
		fail("sched_setaffinity");
	int source = udp_in(argv[1], argv[2], 0);
	int back = udp_in(argv[1], argv[2], PORT);
	int sink = udp_in(argv[3], argv[4], PORT);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	/* A datagram back first, so that all on the way know both ends, as after any real exchange. */
	inet_pton(AF_INET, argv[2], &to.sin_addr);
	if (sendto(sink, out_data, 10, 0, (struct sockaddr *)&to, sizeof to) != 10)
		fail("the datagram back");
	struct pollfd first = { .fd = back, .events = POLLIN };
	if (poll(&first, 1, 3000) != 1) {
		fprintf(stderr, "nothing came from %s to %s\n", argv[4], argv[2]);
		return 1;
	}
	inet_pton(AF_INET, argv[4], &to.sin_addr);
	if (connect(source, (struct sockaddr *)&to, sizeof to))
		fail("connect");
	for (int i = 0; i < MAX_SIZE; i++)
		out_data[i] = i;
	for (int i = 0; i < BATCH; i++) {
		out_vec[i] = (struct iovec){ out_data, size };
		in_vec[i] = (struct iovec){ in_data[i], MAX_SIZE };
		out[i].msg_hdr.msg_iov = &out_vec[i];
		in[i].msg_hdr.msg_iov = &in_vec[i];
		out[i].msg_hdr.msg_iovlen = in[i].msg_hdr.msg_iovlen = 1;
	}
	for (long i = 0; i < count / 4; i += BATCH)
		turn(source, sink, BATCH);
	sent = received = bytes = send_ns = recv_ns = 0;
	unsigned long long before = ksoftirqd_ns(cpu);
	for (long i = 0; i < count; i += BATCH)
		turn(source, sink, BATCH);
	printf("{\"sent\":%ld,\"received\":%ld,\"bytes\":%ld,\"sendNs\":%llu,\"recvNs\":%llu,\"ksoftirqdNs\":%llu}\n", sent,
	       received, bytes, send_ns, recv_ns, ksoftirqd_ns(cpu) - before);
	return 0;
}
