//! The system calls that a throwaway server does not get.
//! It owns the lists and their reasons; it leaves files and programs to Landlock.
//! Invariant: a call is refused as a missing right would be (EACCES), or as on a kernel that does not know it (ENOSYS); never is a process killed for one
//! that PostgreSQL or an extension may try.

use libc::*;
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter};
use std::collections::BTreeMap;
use std::io;

/// The highest number that was known when this list was made (mseal of Linux 6.10). Above it are calls that nobody has judged, and on
/// x86-64 the doubles of all calls for the x32 ABI.
const NEWEST: i64 = 462;

/// The same on every processor; libc does not name it on all.
const FCHMODAT2: i64 = 452;

/// Refused whatever their arguments.
const FORBIDDEN: &[i64] = &[
    // To a server, by whatever socket. A drill logs in nowhere.
    SYS_connect,
    // These take an address along, out of a filter's sight.
    SYS_sendmsg,
    SYS_sendmmsg,
    // Requests in a ring are carried out past every filter.
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    // Other processes of the same user, and the kernel's keys.
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_process_madvise,
    SYS_process_mrelease,
    SYS_pidfd_getfd,
    SYS_kcmp,
    SYS_move_pages,
    SYS_migrate_pages,
    SYS_ioprio_set,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    // What Landlock does not look at: messages between processes, and owners, times, attributes and names of files.
    SYS_mq_open,
    SYS_mq_unlink,
    SYS_msgget,
    SYS_msgctl,
    SYS_msgsnd,
    SYS_msgrcv,
    SYS_fchown,
    SYS_fchownat,
    SYS_utimensat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_inotify_init1,
    SYS_fanotify_init,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_quotactl,
    SYS_quotactl_fd,
    // Another view of the machine: mounts and namespaces.
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_unshare,
    SYS_setns,
    // The kernel itself: where it has had holes, and what only its administrator may do.
    SYS_bpf,
    SYS_userfaultfd,
    SYS_perf_event_open,
    SYS_execveat,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_syslog,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_vhangup,
];

/// The old forms of some of these, and what only this processor has.
#[cfg(target_arch = "x86_64")]
const FORBIDDEN_HERE: &[i64] =
    &[SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat, SYS_inotify_init, SYS_ioperm, SYS_iopl, SYS_modify_ldt, SYS_uselib, SYS_sysfs, SYS_ustat];
#[cfg(not(target_arch = "x86_64"))]
const FORBIDDEN_HERE: &[i64] = &[];

/// The mode of a file is not for Landlock either, and PostgreSQL does not start without setting that of its socket. It has that mode already,
/// by the umask: the call succeeds, and does nothing.
#[cfg(target_arch = "x86_64")]
const PRETENDED: &[i64] = &[SYS_fchmod, SYS_fchmodat, FCHMODAT2, SYS_chmod];
#[cfg(not(target_arch = "x86_64"))]
const PRETENDED: &[i64] = &[SYS_fchmod, SYS_fchmodat, FCHMODAT2];

/// Applies all of it to this thread, and to whatever it becomes or starts.
pub fn forbid() -> io::Result<()> {
    filters().and_then(|filters| filters.iter().try_for_each(|filter| apply_filter(filter))).map_err(|error| io::Error::other(format!("seccomp: {error}")))
}

/// Whether this kernel takes filters, tried on this thread, which should end afterwards.
pub fn probe() -> bool {
    // One that forbids what nobody calls.
    let filter = filter([(NEWEST + 1_000, Vec::new())].into(), SeccompAction::Allow, errno(ENOSYS));
    filter.and_then(|filter| apply_filter(&filter)).is_ok()
}

fn filters() -> Result<Vec<BpfProgram>, seccompiler::Error> {
    // A call with its arguments in memory is for no filter to see. Programs fall back to clone(2).
    let known = (0..=NEWEST).filter(|number| *number != SYS_clone3 && !is_gap(*number)).map(|number| (number, Vec::new())).collect();
    let mut forbidden: BTreeMap<i64, Vec<SeccompRule>> = FORBIDDEN.iter().chain(FORBIDDEN_HERE).map(|number| (*number, Vec::new())).collect();
    forbidden.extend(by_arguments()?);
    let pretended = PRETENDED.iter().map(|number| (*number, Vec::new())).collect();
    Ok(vec![
        filter(known, errno(ENOSYS), SeccompAction::Allow)?,
        filter(pretended, SeccompAction::Allow, errno(0))?,
        filter(forbidden, SeccompAction::Allow, errno(EACCES))?,
    ])
}

/// Numbers between those of old and those that all processors share: there are no calls.
fn is_gap(number: i64) -> bool {
    cfg!(target_arch = "x86_64") && (336..424).contains(&number)
}

/// What is refused for the sake of its arguments.
fn by_arguments() -> Result<Vec<(i64, Vec<SeccompRule>)>, seccompiler::Error> {
    let is = |argument: u8, op: SeccompCmpOp, value: u64, length: SeccompCmpArgLen| SeccompRule::new(vec![SeccompCondition::new(argument, length, op, value)?]);
    let not = |argument, value| is(argument, SeccompCmpOp::Ne, value, SeccompCmpArgLen::Dword);
    let masked = |argument, mask: u64, value: u64| is(argument, SeccompCmpOp::MaskedEq(mask), value, SeccompCmpArgLen::Dword);
    let mut rules = vec![
        // Streams on this machine only: the server's own socket. A datagram needs no connection to reach somebody.
        (
            SYS_socket,
            vec![not(0, AF_UNIX as u64)?, masked(1, 0xf, SOCK_DGRAM as u64)?, masked(1, 0xf, SOCK_RAW as u64)?, masked(1, 0xf, SOCK_SEQPACKET as u64)?],
        ),
        // With an address of its own.
        (SYS_sendto, vec![is(4, SeccompCmpOp::Ne, 0, SeccompCmpArgLen::Qword)?]),
        // New namespaces: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
        (
            SYS_clone,
            [CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET]
                .into_iter()
                .map(|flag| masked(0, flag as u64, flag as u64))
                .collect::<Result<_, _>>()?,
        ),
        // Those of other processes: their limits, priorities and processors.
        (SYS_setpriority, vec![not(1, 0)?]),
    ];
    for call in [SYS_prlimit64, SYS_sched_setaffinity, SYS_sched_setscheduler, SYS_sched_setparam, SYS_sched_setattr] {
        rules.push((call, vec![not(0, 0)?]));
    }
    Ok(rules)
}

fn errno(number: i32) -> SeccompAction {
    SeccompAction::Errno(number as u32)
}

fn filter(calls: BTreeMap<i64, Vec<SeccompRule>>, others: SeccompAction, these: SeccompAction) -> Result<BpfProgram, seccompiler::Error> {
    let here = if cfg!(target_arch = "x86_64") { TargetArch::x86_64 } else { TargetArch::aarch64 };
    Ok(SeccompFilter::new(calls, others, these, here)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, chmod};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_filters_are_small_enough_for_the_kernel() {
        // BPF_MAXINSNS, and MAX_INSNS_PER_PATH for all together (kernel/seccomp.c).
        let lengths: Vec<usize> = filters().unwrap().iter().map(Vec::len).collect();
        assert!(lengths.iter().all(|length| *length < 4096) && lengths.iter().sum::<usize>() < 32_768, "{lengths:?}");
        assert!(probe());
    }

    #[test]
    fn what_needs_no_file_is_refused_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let path = file.clone();
        let confined = std::thread::spawn(move || {
            forbid().unwrap();
            chmod(&path, Mode::from_raw_mode(0o777)).unwrap();
            assert_eq!(std::os::unix::fs::chown(&path, Some(1), None).unwrap_err().raw_os_error(), Some(EACCES));
            let own = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()).unwrap();
            let stolen = rustix::process::pidfd_getfd(own, 0, rustix::process::PidfdGetfdFlags::empty());
            assert_eq!(stolen.unwrap_err().raw_os_error(), EACCES);
            let other = rustix::process::getppid();
            rustix::process::nice(0).unwrap();
            assert_eq!(rustix::process::setpriority_process(other, 19).unwrap_err().raw_os_error(), EACCES);
            // What a server does all day.
            std::thread::spawn(|| {}).join().unwrap();
            let (mut one, mut two) = std::os::unix::net::UnixStream::pair().unwrap();
            io::Write::write_all(&mut one, b"x").unwrap();
            io::Read::read_exact(&mut two, &mut [0]).unwrap();
        });
        confined.join().unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
