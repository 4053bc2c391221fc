// Native code in a throwaway server: what it can still do beyond the walls is written into native.txt, one word each.
// Runs when it is loaded, before anybody can ask what it is. Words between @ are the test's.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static FILE *told;

static void done(const char *what, long result)
{
	if (result >= 0)
		fprintf(told, " native-%s", what);
}

// Whether a program ran and said so.
static int ran(const char *path, const char *first, const char *second, const char *third)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		execl(path, path, first, second, third, NULL);
		_exit(99);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

__attribute__((constructor)) static void attack(void)
{
	struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_port = htons(@LISTENER@), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "@SOCKET@/.s.PGSQL.@PORT@"};
	struct sockaddr_un abstract = {.sun_family = AF_UNIX};
	struct rlimit limit = {0, 0};
	char ring[256] = {0};
	told = fopen("native.txt", "w");
	int socket_ = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(abstract.sun_path + 1, "@ABSTRACT@", sizeof "@ABSTRACT@" - 1);
	done("unix", connect(socket_, (struct sockaddr *)&local, sizeof local));
	done("abstract", connect(socket_, (struct sockaddr *)&abstract, sizeof(sa_family_t) + sizeof "@ABSTRACT@"));
	done("tcp-socket", socket(AF_INET, SOCK_STREAM, 0));
	done("udp-socket", socket(AF_INET, SOCK_DGRAM, 0));
	done("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
	done("datagram", socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	done("tcp", connect(socket_, (struct sockaddr *)&tcp, sizeof tcp));
#ifdef __x86_64__
	// The same calls by their numbers for the x32 ABI.
	done("x32", syscall(0x40000000 | SYS_connect, socket_, &local, sizeof local));
#endif
	done("ring", syscall(425, 4, ring));
	done("write", open("@OUT@/native", O_CREAT | O_WRONLY, 0600));
	done("read", open("@SECRET@", O_RDONLY));
	done("truncate", truncate("@SECRET@", 0));
	done("rename", rename("@SECRET@", "stolen"));
	done("link", link("@SECRET@", "linked"));
	done("unlink", unlink("@SECRET@"));
	done("chown", chown("@SECRET@", getuid(), getgid()));
	// Says that it has done it; the test looks.
	syscall(SYS_fchmodat, AT_FDCWD, "@SECRET@", 0777);
	done("kill", kill(@VICTIM@, SIGKILL));
	done("limit", prlimit(@VICTIM@, RLIMIT_CORE, &limit, NULL));
	done("ptrace", ptrace(PTRACE_ATTACH, @VICTIM@, NULL, NULL));
	done("namespace", unshare(CLONE_NEWUSER));
	done("shell", ran("/bin/sh", "-c", "exit 0", NULL));
	done("loader", ran("@LOADER@", "/bin/sh", "-c", "exit 0"));
	fprintf(told, "end");
	fclose(told);
}
