//! Filters of system calls (seccomp).

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use super::rights::Rights;

/// What computing on descriptors takes. Everything else is refused as not permitted.
const COMPUTE: &[libc::c_long] = &[
    // Descriptors that are there.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_ppoll,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    // Threads.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals, to end itself.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_restart_syscall,
    // Time and chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    // What the C library asks about the machine.
    libc::SYS_getrlimit,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// What a program that reads one file never needs: networks, other processes, the machine, other doors to the kernel.
const NOT_FOR_PROGRAMS: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
];

/// Takes away the system calls beyond `rights`; `false` when the kernel has no filters.
pub(super) fn restrict(rights: Rights<'_>) -> bool {
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    match rights {
        Rights::Compute => {
            // Its arguments lie in memory, where a filter cannot look: the C library then takes `clone`.
            let no_clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
            let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
            let Some(mut allowed) = threads_only() else { return false };
            allowed.extend(COMPUTE.iter().map(|&call| (call, Vec::new())));
            apply(no_clone3, SeccompAction::Allow, unknown) && {
                allowed.insert(libc::SYS_clone3, Vec::new());
                apply(allowed, refused, SeccompAction::Allow)
            }
        }
        Rights::Programs { .. } => {
            // On x86 the same calls have a second number each, for programs with short pointers (x32).
            let x32 = if cfg!(target_arch = "x86_64") { 0x4000_0000 } else { 0 };
            let never = NOT_FOR_PROGRAMS.iter().flat_map(|&call| [call, call | x32]);
            let never = never.map(|call| (call, Vec::new())).collect();
            apply(never, SeccompAction::Allow, refused)
        }
    }
}

/// `clone` where it makes a thread; `prctl` where it names one; `fcntl` where it asks or copies.
fn threads_only() -> Option<BTreeMap<i64, Vec<SeccompRule>>> {
    let rule = |argument, operator, value| {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).ok()?;
        SeccompRule::new(vec![condition]).ok()
    };
    let thread = libc::CLONE_THREAD as u64;
    let mut rules = BTreeMap::new();
    rules.insert(libc::SYS_clone, vec![rule(0, SeccompCmpOp::MaskedEq(thread), thread)?]);
    rules.insert(libc::SYS_prctl, vec![rule(0, SeccompCmpOp::Eq, libc::PR_SET_NAME as u64)?]);
    let asks = [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_DUPFD_CLOEXEC];
    let asks = asks.map(|what| rule(1, SeccompCmpOp::Eq, what as u64));
    rules.insert(libc::SYS_fcntl, asks.into_iter().collect::<Option<Vec<_>>>()?);
    // The limits of the process may be read.
    rules.insert(libc::SYS_prlimit64, vec![rule(2, SeccompCmpOp::Eq, 0)?]);
    // Timeouts of the socket.
    rules.insert(libc::SYS_setsockopt, vec![rule(1, SeccompCmpOp::Eq, libc::SOL_SOCKET as u64)?]);
    // `fstat` by its newer names: nothing but descriptors has an empty name, and files stay closed in any case.
    rules.insert(libc::SYS_statx, Vec::new());
    rules.insert(libc::SYS_newfstatat, Vec::new());
    Some(rules)
}

/// Adds a filter; the stricter of several filters decides.
fn apply(rules: BTreeMap<i64, Vec<SeccompRule>>, others: SeccompAction, these: SeccompAction) -> bool {
    let Ok(machine) = std::env::consts::ARCH.try_into() else { return false };
    let filter = SeccompFilter::new(rules, others, these, machine);
    let program = filter.ok().and_then(|filter| BpfProgram::try_from(filter).ok());
    program.is_some_and(|program| apply_filter(&program).is_ok())
}
