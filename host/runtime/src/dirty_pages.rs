//! Which pages of a range of memory were written, asked of the kernel.
//!
//! Linux 6.7 and later answer it (`PAGEMAP_SCAN`, ioctl_pagemap_scan(2)). Nobody else does.
//!
//! Cheaper than the answer is to know that it is still the last one. The first write to a page of a private mapping is
//! a page fault, and the kernel counts those of each thread: where none was counted, no further page was written. That
//! holds as long as the kernel makes no huge page of several, which it is told not to.

pub(crate) use imp::{DirtyPages, faults_of_this_thread, forbid_merging, give_back, give_back_file};

/// Returns whether sandboxes of any size can be restored on this machine. If not, most calls get a new one.
#[must_use]
pub fn restores_sandboxes() -> bool {
    DirtyPages::get().is_some()
}

/// Most runs of written pages told apart.
const MAX_REGIONS: usize = 64;

#[cfg(target_os = "linux")]
mod imp {
    use std::{fs::File, ops::Range, os::fd::AsRawFd, sync::LazyLock};

    use super::MAX_REGIONS;

    /// `_IOWR('f', 16, struct pm_scan_arg)` of linux/fs.h.
    const PAGEMAP_SCAN: libc::Ioctl = 0xC060_6610_u32 as libc::Ioctl;
    const PAGE_IS_FILE: u64 = 1 << 2;
    const PAGE_IS_PRESENT: u64 = 1 << 3;
    const PAGE_IS_SWAPPED: u64 = 1 << 4;
    const PAGE_IS_PFNZERO: u64 = 1 << 5;

    /// `struct pm_scan_arg` of linux/fs.h.
    #[repr(C)]
    #[derive(Default)]
    struct ScanArguments {
        size: u64,
        flags: u64,
        start: u64,
        end: u64,
        walk_end: u64,
        vec: u64,
        vec_len: u64,
        max_pages: u64,
        category_inverted: u64,
        category_mask: u64,
        category_anyof_mask: u64,
        return_mask: u64,
    }

    /// `struct page_region` of linux/fs.h.
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Region {
        start: u64,
        end: u64,
        categories: u64,
    }

    /// The kernel's answer to which pages were written.
    pub(crate) struct DirtyPages {
        pagemap: File,
        page_bytes: usize,
    }

    impl DirtyPages {
        /// Returns it where the kernel has it.
        pub(crate) fn get() -> Option<&'static Self> {
            static KNOWN: LazyLock<Option<DirtyPages>> = LazyLock::new(DirtyPages::open);
            KNOWN.as_ref()
        }

        fn open() -> Option<Self> {
            // SAFETY: sysconf takes and returns numbers only.
            #[expect(unsafe_code, reason = "the standard library does not tell the size of a page")]
            let page_bytes = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
            let known = Self { pagemap: File::open("/proc/self/pagemap").ok()?, page_bytes };
            known.scan(&[], page_bytes)?;
            Some(known)
        }

        /// Returns the runs of pages of `memory` that are not as they were mapped, as offsets. `None` if they are more
        /// than `most_bytes`, or too many, or if the kernel does not answer. `memory` starts with a page.
        ///
        /// A page that was only read is the file's, or the page of zeros. Everything else that is there, in memory or
        /// swapped out, was written.
        pub(crate) fn scan(&self, memory: &[u8], most_bytes: usize) -> Option<Vec<Range<usize>>> {
            let mut regions = [Region::default(); MAX_REGIONS];
            let start = if memory.is_empty() { 0 } else { memory.as_ptr().addr() as u64 };
            let mut arguments = ScanArguments {
                size: size_of::<ScanArguments>() as u64,
                start,
                end: start + memory.len() as u64,
                vec: regions.as_mut_ptr().addr() as u64,
                vec_len: regions.len() as u64,
                max_pages: (most_bytes / self.page_bytes) as u64,
                category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
                category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
                category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
                ..ScanArguments::default()
            };
            // SAFETY: the kernel reads the arguments, whose size they hold, writes `walk_end` to them, and writes at
            // most `vec_len` regions to `vec`: both are borrowed mutably here. With no flags it changes nothing else.
            #[expect(unsafe_code, reason = "no safe interface to this ioctl exists")]
            let found = unsafe { libc::ioctl(self.pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arguments) };
            let found = usize::try_from(found).ok()?;
            if arguments.walk_end != arguments.end {
                return None;
            }
            let offset = |address: u64| usize::try_from(address.checked_sub(start)?).ok();
            regions.get(..found)?.iter().map(|region| Some(offset(region.start)?..offset(region.end)?)).collect()
        }
    }

    /// Forbids the kernel to put together what it finds in `memory`: pages into huge ones, or equal ones into one.
    /// Returns whether it obeys.
    pub(crate) fn forbid_merging(memory: &mut [u8]) -> bool {
        [libc::MADV_NOHUGEPAGE, libc::MADV_UNMERGEABLE].into_iter().all(|advice| {
            // SAFETY: the range is borrowed mutably, and neither advice changes any of its bytes.
            #[expect(unsafe_code, reason = "the standard library gives no advice to the kernel")]
            let result = unsafe { libc::madvise(memory.as_mut_ptr().cast(), memory.len(), advice) };
            // A kernel built without either does not know the advice, and needs none.
            result == 0 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
        })
    }

    /// Gives the whole pages of `memory` back, which starts with a page: they then are as they were mapped. Returns
    /// `false` if they still are as they were.
    pub(crate) fn give_back(memory: &mut [u8]) -> bool {
        // The kernel would take a page in part for a whole one.
        let Some(known) = DirtyPages::get() else { return false };
        let whole = memory.len() - memory.len() % known.page_bytes;
        let Some(memory) = memory.get_mut(..whole) else { return false };
        // SAFETY: the range is borrowed mutably. It stays mapped: reading it gives the bytes of the mapping, which any
        // `u8` may be. The kernel refuses a range that does not start with a page.
        #[expect(unsafe_code, reason = "the standard library gives no advice to the kernel")]
        let result = unsafe { libc::madvise(memory.as_mut_ptr().cast(), memory.len(), libc::MADV_DONTNEED) };
        result == 0
    }

    /// Lets the kernel have the whole pages back that `mapped`, which starts with a page, shares with a file, for as
    /// long as nobody touches them. Returns `false` if it shares none, or not all.
    pub(crate) fn give_back_file(mapped: &[u8]) -> bool {
        let Some(known) = DirtyPages::get() else { return false };
        let whole = mapped.len() - mapped.len() % known.page_bytes;
        let Some(mapped) = mapped.get(..whole).filter(|mapped| !mapped.is_empty()) else { return false };
        if known.scan(mapped, whole).is_none_or(|written| !written.is_empty()) {
            return false;
        }
        // SAFETY: nobody wrote to these pages, so that each reads as the file does, before and after. Who maps a file
        // that changes meanwhile has the same trouble without us.
        #[expect(unsafe_code, reason = "the standard library gives no advice to the kernel")]
        let result = unsafe { libc::madvise(mapped.as_ptr().cast_mut().cast(), mapped.len(), libc::MADV_DONTNEED) };
        result == 0
    }

    /// Returns how many page faults this thread has had.
    pub(crate) fn faults_of_this_thread() -> Option<u64> {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
        // SAFETY: getrusage writes the whole struct it is given, and nothing else, when it returns 0.
        #[expect(unsafe_code, reason = "the standard library does not count page faults")]
        let usage = unsafe {
            if libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) != 0 {
                return None;
            }
            usage.assume_init()
        };
        u64::try_from(usage.ru_minflt.checked_add(usage.ru_majflt)?).ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::ops::Range;

    /// Nothing: no kernel but Linux tells.
    pub(crate) struct DirtyPages;

    impl DirtyPages {
        pub(crate) const fn get() -> Option<&'static Self> {
            None
        }

        pub(crate) const fn scan(&self, _memory: &[u8], _most_bytes: usize) -> Option<Vec<Range<usize>>> {
            None
        }
    }

    pub(crate) const fn forbid_merging(_memory: &mut [u8]) -> bool {
        false
    }

    pub(crate) const fn give_back(_memory: &mut [u8]) -> bool {
        false
    }

    pub(crate) const fn give_back_file(_mapped: &[u8]) -> bool {
        false
    }

    pub(crate) const fn faults_of_this_thread() -> Option<u64> {
        None
    }
}
