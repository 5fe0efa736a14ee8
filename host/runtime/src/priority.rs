//! The priority of threads that must not hurt those that serve short calls.

pub(crate) use imp::lower;

/// The least the kernel knows.
pub(crate) const LOWEST: i32 = 19;

#[cfg(target_os = "linux")]
mod imp {
    /// Lowers the priority of this thread to so many steps below the usual one (nice(2)).
    pub(crate) fn lower(steps: i32) {
        // SAFETY: setpriority reads its three integers only. On Linux, process 0 means the calling thread.
        #[expect(
            unsafe_code,
            reason = "the standard library cannot set a thread's priority; the call touches no memory"
        )]
        let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, steps) };
        if result != 0 {
            tracing::debug!("a thread runs at normal priority: {}", std::io::Error::last_os_error());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(crate) const fn lower(_steps: i32) {}
}
