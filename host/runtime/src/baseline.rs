//! How a fresh sandbox looks, and how a used one is made to look like that again.
//!
//! What a guest can change is its memory, its mutable globals, its tables and its passive segments. Modules with an
//! instruction that changes the last two are never snapshots, and so have no baseline: each of their calls gets a new
//! instance. Of the memory only the pages that were written are copied back; the kernel knows which. A page once
//! written counts as written from then on; when these become too many, those that were all zeros are given back.

use std::{cell::Cell, ops::Range, sync::Arc};

use wasmtime::{Global, Memory, ModuleExport, Store, Val};

use crate::{
    dirty_pages::{DirtyPages, faults_of_this_thread, forbid_merging, give_back},
    sandbox::Sandbox,
    state::CallState,
};

/// The grain of a baseline. Pages of the kernel are as large, or a multiple.
const PAGE_BYTES: usize = 4 << 10;
/// Memories up to this size are copied back whole where the kernel does not tell what was written.
const SMALL_MEMORY_BYTES: usize = 128 << 10;
/// Most bytes a baseline keeps. Guests with more data get a new instance for each call.
const MAX_CONTENTS_BYTES: usize = 4 << 20;
/// Most bytes copied back after each call. What is written beyond is given back to the kernel first.
const MAX_RESTORED_BYTES: usize = 256 << 10;

/// The state of a fresh sandbox. Pages of zeros take no room.
pub(crate) struct Baseline {
    memory_bytes: usize,
    /// For each page, which page of `contents` it is.
    pages: Box<[Option<u32>]>,
    contents: Box<[u8]>,
    /// Where whole pages are zero.
    zeros: Vec<Range<usize>>,
    globals: Box<[Val]>,
}

impl Baseline {
    /// Reads a fresh sandbox, which should not serve then: pages once read make every later scan slower. `None` if this
    /// machine could not restore it.
    pub(crate) fn of(sandbox: &mut Sandbox, exports: &[ModuleExport]) -> Option<Self> {
        let globals = globals(sandbox, exports)?;
        let globals = globals.iter().map(|global| global.get(&mut sandbox.store)).collect();
        let memory = sandbox.memory.data(&sandbox.store);
        if DirtyPages::get().is_none() && memory.len() > SMALL_MEMORY_BYTES {
            return None;
        }
        let is_zero = |page: &&[u8]| page.iter().all(|byte| *byte == 0);
        if memory.chunks(PAGE_BYTES).filter(|page| !is_zero(page)).count() > MAX_CONTENTS_BYTES / PAGE_BYTES {
            return None;
        }
        let (mut pages, mut contents) = (Vec::new(), Vec::new());
        for page in memory.chunks(PAGE_BYTES) {
            let is_zero = is_zero(&page);
            pages.push(if is_zero { None } else { Some(u32::try_from(contents.len() / PAGE_BYTES).ok()?) });
            if !is_zero {
                contents.extend_from_slice(page);
            }
        }
        let zeros = zeros(&pages);
        Some(Self { memory_bytes: memory.len(), pages: pages.into(), contents: contents.into(), zeros, globals })
    }

    /// Returns whether both are the same, as far as memory goes.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.pages == other.pages && self.contents == other.contents
    }

    /// Gives the pages back that hold only zeros when fresh. Returns `false` if that is not possible.
    fn give_back(&self, memory: &mut [u8]) -> bool {
        self.zeros.iter().all(|range| memory.get_mut(range.clone()).is_some_and(give_back))
    }

    /// Copies what belongs into `target`, which starts at `start` bytes of memory, at a page's start.
    fn copy(&self, target: &mut [u8], start: usize) -> Option<()> {
        let pages = self.pages.get(start / PAGE_BYTES..)?;
        for (target, page) in target.chunks_mut(PAGE_BYTES).zip(pages) {
            match page {
                None => target.fill(0),
                Some(page) => {
                    let from = *page as usize * PAGE_BYTES;
                    target.copy_from_slice(self.contents.get(from..from + target.len())?);
                }
            }
        }
        Some(())
    }
}

/// What makes one sandbox as new after each of its calls.
pub(crate) struct Restorer {
    baseline: Arc<Baseline>,
    globals: Box<[Global]>,
    /// Where pages were written in any call yet, as offsets. Nothing is known before the first scan.
    written: Option<Vec<Range<usize>>>,
    /// Whether it is certain that a write to any other page is a page fault.
    faults_tell: bool,
    /// Page faults of the thread that began the call, before it began.
    faults: Option<u64>,
}

thread_local! {
    /// Page faults of this thread when they were last asked for.
    static FAULTS: Cell<Option<u64>> = const { Cell::new(None) };
}

impl Restorer {
    /// Prepares a fresh sandbox for being restored to `baseline`.
    pub(crate) fn new(sandbox: &mut Sandbox, exports: &[ModuleExport], baseline: Arc<Baseline>) -> Option<Self> {
        let globals = globals(sandbox, exports)?;
        let faults_tell = forbid_merging(sandbox.memory.data_mut(&mut sandbox.store));
        Some(Self { baseline, globals, written: None, faults_tell, faults: None })
    }

    /// To be called before each call.
    pub(crate) fn begin(&mut self) {
        self.faults = FAULTS.get();
    }

    /// Makes a used sandbox as new. Returns `false` if that is not worth it, or not possible: then it is half restored.
    ///
    /// `stayed` says that the whole call ran on this thread.
    pub(crate) fn restore(&mut self, store: &mut Store<CallState>, memory: Memory, stayed: bool) -> bool {
        for (global, value) in self.globals.iter().zip(&self.baseline.globals) {
            if global.set(&mut *store, *value).is_err() {
                return false;
            }
        }
        let memory = memory.data_mut(store);
        // A memory never shrinks.
        memory.len() == self.baseline.memory_bytes && self.restore_memory(memory, stayed).is_some()
    }

    fn restore_memory(&mut self, memory: &mut [u8], stayed: bool) -> Option<()> {
        let Some(dirty_pages) = DirtyPages::get() else { return self.baseline.copy(memory, 0) };
        let faults = faults_of_this_thread();
        FAULTS.set(faults);
        let is_known = stayed && self.faults_tell && faults.is_some() && faults == self.faults;
        if !is_known || self.written.is_none() {
            self.written = dirty_pages.scan(memory, MAX_RESTORED_BYTES);
            if self.written.is_none() && self.baseline.give_back(memory) {
                self.written = dirty_pages.scan(memory, MAX_RESTORED_BYTES);
            }
        }
        for range in self.written.as_ref()? {
            self.baseline.copy(memory.get_mut(range.clone())?, range.start)?;
        }
        Some(())
    }
}

fn zeros(pages: &[Option<u32>]) -> Vec<Range<usize>> {
    let mut start = 0;
    let runs = pages.chunk_by(|one, next| one.is_none() == next.is_none());
    let ranges = runs.map(|run| {
        let range = start..start + run.len() * PAGE_BYTES;
        start = range.end;
        (run.first() == Some(&None)).then_some(range)
    });
    ranges.flatten().collect()
}

/// Finds the globals of a fresh sandbox.
fn globals(sandbox: &mut Sandbox, exports: &[ModuleExport]) -> Option<Box<[Global]>> {
    let Sandbox { store, instance, .. } = sandbox;
    exports.iter().map(|export| instance.get_module_export(&mut *store, export)?.into_global()).collect()
}
