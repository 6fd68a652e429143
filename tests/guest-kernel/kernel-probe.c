/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel-probe.c - a workload that tries out what a program may expect of our guest kernel, one facility at
 * a time, and says of each "ok NAME" or "FAILED NAME: why" on standard output.  Exits with 0 where all is
 * there.
 *
 * What a shell can try (file systems, control groups, network devices) is in test_guest_kernel.py beside the
 * image; here is what takes a system call of its own.  Each check runs in a child, so that none disturbs the
 * next.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <netinet/in.h>

#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/dm-ioctl.h>
#include <linux/filter.h>
#include <linux/fscrypt.h>
#include <linux/if_alg.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/membarrier.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/vm_sockets.h>

/* ---- system calls ---- */

static long io_uring_works(void)
{
        struct io_uring_params params = {0};

        return syscall(SYS_io_uring_setup, 4, &params);
}

static long aio_works(void)
{
        aio_context_t context = 0;

        return syscall(SYS_io_setup, 4, &context);
}

static long epoll_works(void)
{
        return epoll_create1(0);
}

static long inotify_works(void)
{
        return inotify_add_watch(inotify_init(), "/", IN_CREATE);
}

static long fanotify_works(void)
{
        int fd = fanotify_init(FAN_CLASS_CONTENT, O_RDONLY);

        return fd < 0 ? fd : fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, "/tmp");
}

static long memfd_works(void)
{
        int fd = memfd_create("probe", MFD_ALLOW_SEALING);

        return fd < 0 ? fd : fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE);
}

static long userfaultfd_works(void)
{
        return syscall(SYS_userfaultfd, O_CLOEXEC);
}

static long timers_work(void)
{
        sigset_t set;

        sigemptyset(&set);
        return timerfd_create(CLOCK_BOOTTIME, 0) < 0 || signalfd(-1, &set, 0) < 0 ? -1 : eventfd(0, 0);
}

static long posix_queues_work(void)
{
        return mq_open("/probe", O_CREAT | O_RDWR, 0600, NULL);
}

static long sysv_ipc_works(void)
{
        return msgget(IPC_PRIVATE, 0600) < 0 || semget(IPC_PRIVATE, 1, 0600) < 0
                       ? -1
                       : shmget(IPC_PRIVATE, 4096, 0600);
}

static long landlock_works(void)
{
        return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static long seccomp_filter_works(void)
{
        struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        struct sock_fprog program = {.len = 1, .filter = &allow};

        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static long membarrier_works(void)
{
        return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

static long pidfds_work(void)
{
        return syscall(SYS_pidfd_open, getppid(), 0);
}

static long memory_of_others_can_be_read(void)
{
        char byte;
        struct iovec here = {&byte, 1}, there = {&errno, 1};

        return process_vm_readv(getppid(), &here, 1, &there, 1, 0);
}

static long kcmp_works(void)
{
        return syscall(SYS_kcmp, getpid(), getppid(), 0, 0, 0);
}

static long file_handles_work(void)
{
        struct {
                struct file_handle head;
                char room[MAX_HANDLE_SZ];
        } handle = {.head = {.handle_bytes = MAX_HANDLE_SZ}};
        int mount_id;

        return name_to_handle_at(AT_FDCWD, "/tmp", &handle.head, &mount_id, 0);
}

static long keys_work(void)
{
        return syscall(SYS_add_key, "logon", "probe:key", "secret", 6, KEY_SPEC_PROCESS_KEYRING);
}

static long device_filter_works(void)
{
        struct bpf_insn allow[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1},
                                   {.code = BPF_JMP | BPF_EXIT}};
        union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                               .insn_cnt = 2,
                               .insns = (uintptr_t)allow,
                               .license = (uintptr_t) "Apache-2.0"};
        long program = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));

        if (program < 0 || mkdir("/sys/fs/cgroup/filtered", 0755) < 0)
                return -1;
        union bpf_attr attach = {.target_fd = (uint32_t)open("/sys/fs/cgroup/filtered", O_RDONLY),
                                 .attach_bpf_fd = (uint32_t)program,
                                 .attach_type = BPF_CGROUP_DEVICE};
        return syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach));
}

static long perf_counts(void)
{
        struct perf_event_attr attr = {
                .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_CPU_CLOCK};

        return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static long huge_pages_can_be_asked_for(void)
{
        void *p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return p == MAP_FAILED ? -1 : madvise(p, 4 << 20, MADV_HUGEPAGE);
}

static long programs_of_32_bits_run(void)
{
        long pid = 20; /* getpid(), by the gate that they use */

        __asm__ volatile("int $0x80" : "+a"(pid) : : "memory", "r8", "r9", "r10", "r11");
        errno = ENOSYS;
        return pid == getpid() ? 0 : -1;
}

static long terminals_work(void)
{
        int fd = posix_openpt(O_RDWR | O_NOCTTY);

        return fd < 0 ? fd : grantpt(fd) < 0 ? -1 : unlockpt(fd);
}

/* ---- namespaces ---- */

static long all_namespaces_can_be_made(void)
{
        return unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                       CLONE_NEWUTS | CLONE_NEWCGROUP | 0x80 /* CLONE_NEWTIME */);
}

/* ---- sockets ---- */

static long ipv6_loopback_connects(void)
{
        struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        socklen_t size = sizeof(address);
        int server = socket(AF_INET6, SOCK_STREAM, 0), client = socket(AF_INET6, SOCK_STREAM, 0);

        if (bind(server, (struct sockaddr *)&address, size) < 0 || listen(server, 1) < 0 ||
            getsockname(server, (struct sockaddr *)&address, &size) < 0)
                return -1;
        return connect(client, (struct sockaddr *)&address, size);
}

static long packets_can_be_read(void)
{
        return socket(AF_PACKET, SOCK_RAW, 0);
}

static long vsock_loops_back(void)
{
        struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = 7777};
        int server = socket(AF_VSOCK, SOCK_STREAM, 0), client = socket(AF_VSOCK, SOCK_STREAM, 0);

        if (bind(server, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(server, 1) < 0)
                return -1;
        return connect(client, (struct sockaddr *)&address, sizeof(address));
}

static long iptables_are_there(void)
{
        char info[84] = "nat"; /* struct ipt_getinfo */
        socklen_t size = sizeof(info);
        char info6[84] = "filter";
        int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), fd6 = socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);

        return getsockopt(fd, IPPROTO_IP, 64 /* IPT_SO_GET_INFO */, info, &size) < 0
                       ? -1
                       : getsockopt(fd6, IPPROTO_IPV6, 64, info6, &size);
}

static long netfilter_listens(void)
{
        return socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
}

/* ---- cryptography ---- */

static long bind_algorithm(const char *type, const char *name)
{
        struct sockaddr_alg address = {.salg_family = AF_ALG};

        snprintf((char *)address.salg_type, sizeof(address.salg_type), "%s", type);
        snprintf((char *)address.salg_name, sizeof(address.salg_name), "%s", name);
        int fd = socket(AF_ALG, SOCK_SEQPACKET, 0);
        return fd < 0 ? fd : bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static long ciphers_are_there(void)
{
        static const char *const wanted[][2] = {
                {"skcipher", "xts(aes)"},
                {"skcipher", "cbc(aes)"},
                {"skcipher", "ctr(aes)"},
                {"skcipher", "cts(cbc(aes))"},
                {"skcipher", "ecb(aes)"},
                {"skcipher", "essiv(cbc(aes),sha256)"},
                {"aead", "gcm(aes)"},
                {"aead", "rfc7539(chacha20,poly1305)"},
                {"aead", "authenc(hmac(sha256),xts(aes))"},
                {"hash", "sha1"},
                {"hash", "sha256"},
                {"hash", "sha384"},
                {"hash", "sha512"},
                {"hash", "blake2b-256"},
                {"hash", "hmac(sha256)"},
                {"hash", "hmac(sha512)"},
                {"hash", "cmac(aes)"},
                {"hash", "crc32c"},
        };

        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
                if (bind_algorithm(wanted[i][0], wanted[i][1]) < 0) {
                        printf("no %s\n", wanted[i][1]);
                        return -1;
                }
        }
        return 0;
}

/* ---- devices ---- */

static long device_mapper_has_targets(void)
{
        static const char *const wanted[] = {"crypt", "verity", "integrity", "snapshot", "linear", "striped"};
        static union {
                struct dm_ioctl head;
                char room[16384];
        } list = {.head = {.version = {4, 0, 0},
                           .data_size = sizeof(list),
                           .data_start = sizeof(struct dm_ioctl)}};
        int fd = open("/dev/mapper/control", O_RDWR);

        if (fd < 0 || ioctl(fd, DM_LIST_VERSIONS, &list) < 0)
                return -1;
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
                char name[32];
                int n = snprintf(name, sizeof(name), "%s", wanted[i]);
                if (!memmem(list.room, sizeof(list), name, (size_t)n + 1)) {
                        printf("no target %s\n", wanted[i]);
                        errno = ENOENT;
                        return -1;
                }
        }
        return 0;
}

static long open_device(const char *path)
{
        return open(path, O_RDWR | O_NONBLOCK);
}

static long character_devices_in_user_space(void)
{
        return open_device("/dev/cuse");
}

static long fuse_opens(void)
{
        return open_device("/dev/fuse");
}

static long tun_opens(void)
{
        return open_device("/dev/net/tun");
}

/* Both are done on an ext4 that test_guest_kernel.py's script has mounted. */
static long files_can_be_encrypted(void)
{
        static struct {
                struct fscrypt_add_key_arg head;
                char raw[64];
        } key = {.head = {.key_spec = {.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER}, .raw_size = 64},
                 .raw = "sixty-four bytes that are no secret, since nothing is kept by it"};
        struct fscrypt_policy_v2 policy = {.version = FSCRYPT_POLICY_V2,
                                           .contents_encryption_mode = FSCRYPT_MODE_AES_256_XTS,
                                           .filenames_encryption_mode = FSCRYPT_MODE_AES_256_CTS,
                                           .flags = FSCRYPT_POLICY_FLAGS_PAD_32};

        mkdir("/tmp/ext4/secret", 0700);
        int fd = open("/tmp/ext4/secret", O_RDONLY);
        if (fd < 0 || ioctl(fd, FS_IOC_ADD_ENCRYPTION_KEY, &key) < 0)
                return -1;
        memcpy(policy.master_key_identifier, key.head.key_spec.u.identifier, FSCRYPT_KEY_IDENTIFIER_SIZE);
        if (ioctl(fd, FS_IOC_SET_ENCRYPTION_POLICY, &policy) < 0)
                return -1;
        int file = open("/tmp/ext4/secret/file", O_CREAT | O_WRONLY, 0600);
        return file < 0 ? file : write(file, "x", 1);
}

/* ---- what has to be missing ---- */

/* True where it isn't there, whatever the errno. */
static long absent(int there)
{
        errno = EEXIST;
        return there ? -1 : 0;
}

static long kernel_cannot_be_changed(void)
{
        return absent(access("/proc/modules", F_OK) == 0 || access("/dev/mem", F_OK) == 0 ||
                      access("/dev/port", F_OK) == 0 || access("/proc/kcore", F_OK) == 0 ||
                      access("/sys/kernel/debug", F_OK) == 0 ||
                      syscall(SYS_kexec_load, 0L, 0L, NULL, 0L) == 0 || errno != ENOSYS);
}

static const struct {
        const char *name;
        long (*works)(void);
} checks[] = {
        {"io_uring", io_uring_works},
        {"aio", aio_works},
        {"epoll", epoll_works},
        {"inotify", inotify_works},
        {"fanotify with permission", fanotify_works},
        {"memfd", memfd_works},
        {"userfaultfd", userfaultfd_works},
        {"timerfd, signalfd, eventfd", timers_work},
        {"POSIX message queues", posix_queues_work},
        {"System V IPC", sysv_ipc_works},
        {"Landlock", landlock_works},
        {"seccomp filter with notification", seccomp_filter_works},
        {"membarrier", membarrier_works},
        {"pidfd", pidfds_work},
        {"process_vm_readv", memory_of_others_can_be_read},
        {"kcmp", kcmp_works},
        {"file handles", file_handles_work},
        {"keys", keys_work},
        {"device filter of a control group", device_filter_works},
        {"perf, software events", perf_counts},
        {"transparent huge pages", huge_pages_can_be_asked_for},
        {"programs of 32 bits", programs_of_32_bits_run},
        {"terminals", terminals_work},
        {"all namespaces", all_namespaces_can_be_made},
        {"IPv6 on the loopback", ipv6_loopback_connects},
        {"packet sockets", packets_can_be_read},
        {"vsock loopback", vsock_loops_back},
        {"iptables and ip6tables", iptables_are_there},
        {"nftables", netfilter_listens},
        {"ciphers and hashes", ciphers_are_there},
        {"targets of the device mapper", device_mapper_has_targets},
        {"CUSE", character_devices_in_user_space},
        {"FUSE", fuse_opens},
        {"TUN", tun_opens},
        {"fscrypt on ext4", files_can_be_encrypted},
        {"no way to change the kernel", kernel_cannot_be_changed},
};

/* Runs one check in a child. */
static int failed(const char *name, long (*works)(void))
{
        int status = 1;

        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                bool there = works() >= 0;
                if (there)
                        printf("ok %s\n", name);
                else
                        printf("FAILED %s: %s\n", name, strerror(errno));
                fflush(stdout);
                _exit(!there);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || WIFSIGNALED(status))
                printf("FAILED %s: status %d\n", name, status);
        return status != 0;
}

int main(void)
{
        int failures = 0;

        for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
                failures += failed(checks[i].name, checks[i].works);
        printf("probed %zu facilities\n", sizeof(checks) / sizeof(checks[0]));
        return failures > 0;
}
