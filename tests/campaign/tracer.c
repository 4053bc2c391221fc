/* Runs a program under ptrace and lists, fails or records the file-system calls of it and of all its descendants. Linux on x86-64.
 *
 *   tracer -r ROOT -l LOG [-i SPEC] [-w] -- PROGRAM ARGUMENT...
 *
 * LOG gets a line for each call on a regular file or folder: PROGRAM|CALL|PATH, where ROOT is written '@' and each run of digits '#'.
 * With -i EXE|CALL|PATH|N|FAULT the N-th call of that line (from 1) fails: FAULT is an errno, or "short" for a write of half the bytes.
 *   The line that was failed is in LOG a second time with "!" before it.
 * With -w LOG holds instead what was changed under ROOT and what was synced, in order, and LOG.data the bytes that were written.
 *
 * A seccomp filter stops the program only for these calls; the rest runs at full speed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the arguments mean: the number of the argument with a descriptor or a path (after its folder's descriptor), and of a second path. */
enum shape { FD, PATH, AT, PATH2, AT2, SYMLINK, SYMLINKAT, FD2 };
struct call { int number; const char *name; enum shape shape; };
static const struct call CALLS[] = {
	{SYS_read, "read", FD}, {SYS_pread64, "pread", FD}, {SYS_readv, "readv", FD}, {SYS_preadv, "preadv", FD},
	{SYS_write, "write", FD}, {SYS_pwrite64, "pwrite", FD}, {SYS_writev, "writev", FD}, {SYS_pwritev, "pwritev", FD},
	{SYS_sendfile, "sendfile", FD}, {SYS_copy_file_range, "copy_file_range", FD2}, {SYS_splice, "splice", FD2},
	{SYS_open, "open", PATH}, {SYS_creat, "creat", PATH}, {SYS_openat, "openat", AT}, {SYS_openat2, "openat", AT},
	{SYS_close, "close", FD}, {SYS_fsync, "fsync", FD}, {SYS_fdatasync, "fdatasync", FD}, {SYS_sync_file_range, "sync_file_range", FD},
	{SYS_rename, "rename", PATH2}, {SYS_renameat, "rename", AT2}, {SYS_renameat2, "rename", AT2},
	{SYS_link, "link", PATH2}, {SYS_linkat, "link", AT2}, {SYS_symlink, "symlink", SYMLINK}, {SYS_symlinkat, "symlink", SYMLINKAT},
	{SYS_unlink, "unlink", PATH}, {SYS_unlinkat, "unlinkat", AT}, {SYS_mkdir, "mkdir", PATH}, {SYS_mkdirat, "mkdir", AT}, {SYS_rmdir, "rmdir", PATH},
	{SYS_truncate, "truncate", PATH}, {SYS_ftruncate, "ftruncate", FD}, {SYS_fallocate, "fallocate", FD},
	{SYS_chmod, "chmod", PATH}, {SYS_fchmod, "fchmod", FD}, {SYS_fchmodat, "chmod", AT}, {SYS_fchown, "fchown", FD},
	{SYS_flock, "flock", FD}, {SYS_getdents64, "getdents", FD}, {SYS_lseek, "lseek", FD},
	{SYS_stat, "stat", PATH}, {SYS_lstat, "stat", PATH}, {SYS_fstat, "fstat", FD}, {SYS_newfstatat, "stat", AT}, {SYS_statx, "stat", AT},
	{SYS_access, "access", PATH}, {SYS_faccessat, "access", AT}, {SYS_faccessat2, "access", AT},
	{SYS_readlink, "readlink", PATH}, {SYS_readlinkat, "readlink", AT}, {SYS_statfs, "statfs", PATH}, {SYS_fstatfs, "fstatfs", FD},
};
#define COUNT (sizeof CALLS / sizeof *CALLS)

static const char *root;
static size_t root_length;
static FILE *out, *data;
static long data_length;
static int recording;
static char wanted[2 * PATH_MAX];
static long wanted_number, seen;
static int fault;
#define SHORT (-1)

static void die(const char *what) {
	fprintf(stderr, "tracer: %s: %s\n", what, strerror(errno));
	exit(127);
}

static const struct call *find(long number) {
	for (size_t i = 0; i < COUNT; i++)
		if (CALLS[i].number == number) return &CALLS[i];
	return NULL;
}

static void filter(void) {
	struct sock_filter code[COUNT + 3];
	size_t n = 0;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < COUNT; i++)
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)CALLS[i].number, (unsigned char)(COUNT - i), 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	struct sock_fprog program = {(unsigned short)n, code};
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		/* Without the right to it a process may filter itself only if it gives up gaining rights. */
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) die("seccomp");
	}
}

static int text(pid_t pid, unsigned long from, char *to) {
	size_t length = 0;
	while (length < PATH_MAX - 1) {
		/* Not across the end of a page, behind which nothing may be. */
		size_t step = 4096 - (from + length) % 4096;
		if (step > PATH_MAX - 1 - length) step = PATH_MAX - 1 - length;
		struct iovec local = {to + length, step}, remote = {(void *)(from + length), step};
		ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
		if (got <= 0) return -1;
		char *end = memchr(to + length, 0, (size_t)got);
		if (end) return 0;
		length += (size_t)got;
	}
	return -1;
}

static int link_of(pid_t pid, const char *what, char *to) {
	char name[64];
	snprintf(name, sizeof name, "/proc/%d/%s", pid, what);
	ssize_t length = readlink(name, to, PATH_MAX - 1);
	if (length < 0) return -1;
	to[length] = 0;
	return 0;
}

static int descriptor(pid_t pid, int fd, char *to) {
	char name[32];
	snprintf(name, sizeof name, "fd/%d", fd);
	if (link_of(pid, name, to)) return -1;
	return to[0] == '/' ? 0 : -1;
}

static int at(pid_t pid, int folder, unsigned long name, char *to) {
	char path[PATH_MAX];
	if (text(pid, name, path)) return -1;
	if (path[0] == '/') return strcpy(to, path), 0;
	if (folder == AT_FDCWD ? link_of(pid, "cwd", to) : descriptor(pid, folder, to)) return -1;
	size_t length = strlen(to);
	if (path[0]) snprintf(to + length, PATH_MAX - length, "/%s", path);
	return 0;
}

static void normalise(const char *path, char *to) {
	if (!strncmp(path, root, root_length)) { *to++ = '@'; path += root_length; }
	for (; *path; path++) {
		if (*path >= '0' && *path <= '9') {
			if (to[-1] != '#') *to++ = '#';
		} else *to++ = *path;
	}
	*to = 0;
}

static int inside(const char *path) { return !strncmp(path, root, root_length) && path[root_length] == '/'; }
static const char *below(const char *path) { return path + root_length + 1; }

/* Lets a call go on, waits until it is over, and tells what it returned. Nobody else's call is looked at in between. */
static long finish(pid_t pid) {
	int status, deliver = 0;
	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, deliver) || waitpid(pid, &status, __WALL) < 0 || !WIFSTOPPED(status)) return -EINTR;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) break;
		deliver = status >> 8 == (SIGTRAP | (PTRACE_EVENT_STOP << 8)) ? 0 : WSTOPSIG(status);
	}
	struct user_regs_struct regs;
	if (ptrace(PTRACE_GETREGS, pid, 0, &regs)) return -ESRCH;
	return (long)regs.rax;
}

static void written(pid_t pid, int fd, const char *path, long count, long offset) {
	char name[64], line[256];
	if (offset < 0) {
		snprintf(name, sizeof name, "/proc/%d/fdinfo/%d", pid, fd);
		FILE *info = fopen(name, "r");
		if (!info || fscanf(info, "pos: %ld", &offset) != 1) die("fdinfo");
		fclose(info);
		offset -= count;
	}
	snprintf(name, sizeof name, "/proc/%d/fd/%d", pid, fd);
	int file = open(name, O_RDONLY);
	if (file < 0) die("reading back");
	char *bytes = malloc((size_t)count + 1);
	if (pread(file, bytes, (size_t)count, offset) != count || fwrite(bytes, 1, (size_t)count, data) != (size_t)count) die("reading back");
	free(bytes);
	close(file);
	snprintf(line, sizeof line, "%ld\t%ld\t%ld", offset, count, data_length);
	fprintf(out, "write\t%s\t%s\n", below(path), line);
	data_length += count;
}

static void record(pid_t pid, const struct call *call, const struct user_regs_struct *regs, const char *path, const char *second) {
	const char *name = call->name;
	struct stat before;
	int there = lstat(path, &before) == 0;
	unsigned long flags = call->number == SYS_open ? regs->rsi : call->number == SYS_openat ? regs->rdx : call->number == SYS_creat ? O_CREAT | O_TRUNC : 0;
	int removing = !strcmp(name, "unlinkat") && (regs->rdx & AT_REMOVEDIR);
	long result;
	if (!strcmp(name, "read") || !strcmp(name, "pread") || !strcmp(name, "stat") || !strcmp(name, "fstat") || !strcmp(name, "close") || !strcmp(name, "flock")
		|| !strcmp(name, "getdents") || !strcmp(name, "lseek") || !strcmp(name, "access") || !strcmp(name, "statfs") || !strcmp(name, "readlink")
		|| !strcmp(name, "readv") || !strcmp(name, "preadv") || !strcmp(name, "fstatfs")
		|| ((!strcmp(name, "open") || !strcmp(name, "openat")) && !(flags & (O_CREAT | O_TRUNC)))) {
		ptrace(PTRACE_CONT, pid, 0, 0);
		return;
	}
	result = finish(pid);
	if (result >= 0) {
		if (!strcmp(name, "open") || !strcmp(name, "openat") || !strcmp(name, "creat")) {
			if (!there) fprintf(out, "create\t%s\n", below(path));
			else if (flags & O_TRUNC) fprintf(out, "truncate\t%s\t0\n", below(path));
		} else if (!strcmp(name, "write") || !strcmp(name, "writev") || !strcmp(name, "sendfile")) {
			if (result > 0) written(pid, (int)regs->rdi, path, result, -1);
		} else if (!strcmp(name, "pwrite") || !strcmp(name, "pwritev")) {
			if (result > 0) written(pid, (int)regs->rdi, path, result, (long)regs->r10);
		} else if (!strcmp(name, "copy_file_range") || !strcmp(name, "splice")) {
			char target[PATH_MAX];
			if (result > 0 && !descriptor(pid, (int)regs->rdx, target)) written(pid, (int)regs->rdx, path, result, -1);
		} else if (!strcmp(name, "fsync") || !strcmp(name, "fdatasync")) {
			fprintf(out, "sync\t%s\n", below(path));
		} else if (!strcmp(name, "ftruncate") || !strcmp(name, "truncate")) {
			fprintf(out, "truncate\t%s\t%ld\n", below(path), (long)regs->rsi);
		} else if (!strcmp(name, "rename")) {
			fprintf(out, "rename\t%s\t%s\n", below(path), below(second));
		} else if (!strcmp(name, "symlink")) {
			fprintf(out, "symlink\t%s\t%s\n", below(path), second);
		} else if (!strcmp(name, "mkdir")) {
			fprintf(out, "mkdir\t%s\n", below(path));
		} else if (!strcmp(name, "rmdir") || removing) {
			fprintf(out, "rmdir\t%s\n", below(path));
		} else if (!strcmp(name, "unlink") || !strcmp(name, "unlinkat")) {
			fprintf(out, "unlink\t%s\n", below(path));
		} else {
			/* The model has to learn of it first. */
			fprintf(out, "unknown\t%s\t%s\n", name, below(path));
		}
	}
	ptrace(PTRACE_CONT, pid, 0, 0);
}

static void stopped_at_call(pid_t pid) {
	struct user_regs_struct regs;
	char path[2 * PATH_MAX], second[2 * PATH_MAX] = "", exe[PATH_MAX], line[8 * PATH_MAX];
	if (ptrace(PTRACE_GETREGS, pid, 0, &regs)) return;
	const struct call *call = find((long)regs.orig_rax);
	int known = -1;
	if (call) {
		switch (call->shape) {
		case FD: known = descriptor(pid, (int)regs.rdi, path); break;
		case FD2: known = descriptor(pid, (int)regs.rdx, path) && descriptor(pid, (int)regs.rdi, path); break;
		case PATH: known = at(pid, AT_FDCWD, regs.rdi, path); break;
		case AT: known = at(pid, (int)regs.rdi, regs.rsi, path); break;
		case PATH2: known = at(pid, AT_FDCWD, regs.rdi, path) || at(pid, AT_FDCWD, regs.rsi, second); break;
		case AT2: known = at(pid, (int)regs.rdi, regs.rsi, path) || at(pid, (int)regs.rdx, regs.r10, second); break;
		case SYMLINK: known = text(pid, regs.rdi, second) || at(pid, AT_FDCWD, regs.rsi, path); break;
		case SYMLINKAT: known = text(pid, regs.rdi, second) || at(pid, (int)regs.rsi, regs.rdx, path); break;
		}
	}
	if (known || (!strncmp(path, "/dev/", 5) && strncmp(path, "/dev/shm/", 9)) || !strncmp(path, "/proc/", 6) || !strncmp(path, "/sys/", 5)) {
		ptrace(PTRACE_CONT, pid, 0, 0);
		return;
	}
	if (recording) {
		if (inside(path)) record(pid, call, &regs, path, second);
		else ptrace(PTRACE_CONT, pid, 0, 0);
		return;
	}
	if (link_of(pid, "exe", exe)) strcpy(exe, "?");
	char *slash = strrchr(exe, '/');
	int length = snprintf(line, sizeof line, "%s|%s|", slash ? slash + 1 : exe, call->name);
	normalise(path, line + length);
	fprintf(out, "%s\n", line);
	if (fault && !strcmp(line, wanted) && ++seen == wanted_number) {
		fprintf(out, "!%s\n", line);
		if (call->number == SYS_close) {
			/* The descriptor is gone whatever close says. */
			finish(pid);
			if (ptrace(PTRACE_GETREGS, pid, 0, &regs)) return;
			regs.rax = (unsigned long long)(long long)-fault;
		} else if (fault == SHORT) {
			regs.rdx = regs.rdx / 2 > 0 ? regs.rdx / 2 : 1;
		} else {
			regs.orig_rax = (unsigned long long)-1;
			regs.rax = (unsigned long long)(long long)-fault;
		}
		if (ptrace(PTRACE_SETREGS, pid, 0, &regs)) die("setregs");
	}
	ptrace(PTRACE_CONT, pid, 0, 0);
}

int main(int argc, char **argv) {
	const char *log = NULL;
	int option;
	while ((option = getopt(argc, argv, "+r:l:i:w")) != -1) {
		if (option == 'r') root = optarg, root_length = strlen(optarg);
		else if (option == 'l') log = optarg;
		else if (option == 'w') recording = 1;
		else if (option == 'i') {
			char *last = strrchr(optarg, '|');
			if (!last) return 127;
			fault = strcmp(last + 1, "short") ? atoi(last + 1) : SHORT;
			*last = 0;
			last = strrchr(optarg, '|');
			if (!last || strlen(optarg) >= sizeof wanted) return 127;
			wanted_number = atol(last + 1);
			*last = 0;
			strcpy(wanted, optarg);
		} else return 127;
	}
	if (!root || !log || optind >= argc) return 127;
	if (!(out = fopen(log, "we"))) die(log);
	if (recording) {
		char name[PATH_MAX];
		snprintf(name, sizeof name, "%s.data", log);
		if (!(data = fopen(name, "we"))) die(name);
	}
	pid_t child = fork();
	if (child < 0) die("fork");
	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0)) die("ptrace");
		raise(SIGSTOP);
		filter();
		execv(argv[optind], argv + optind);
		die(argv[optind]);
	}
	int status, ended = 127;
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) die("start");
	long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD
		| PTRACE_O_EXITKILL;
	if (ptrace(PTRACE_SETOPTIONS, child, 0, options)) die("options");
	ptrace(PTRACE_CONT, child, 0, 0);
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);
		if (pid < 0 && errno == EINTR) continue;
		if (pid < 0) break;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid == child) ended = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			continue;
		}
		int event = status >> 16, signal = WSTOPSIG(status);
		if (event == PTRACE_EVENT_SECCOMP) stopped_at_call(pid);
		else if (event) ptrace(PTRACE_CONT, pid, 0, 0);
		/* A new thread or process begins with a SIGSTOP of the kernel's. */
		else ptrace(PTRACE_CONT, pid, 0, signal == SIGSTOP || signal == SIGTRAP || signal == (SIGTRAP | 0x80) ? 0 : signal);
	}
	if (fclose(out) || (data && fclose(data))) die("log");
	return ended;
}
