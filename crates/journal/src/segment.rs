//! Walking over the frames of a segment, and bringing a directory into order when it is opened.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::ControlFlow,
    path::Path,
};

use crate::{
    JournalError,
    files::{self, segment_path},
    frame::{self, Decoded, MAX_FRAME_BYTES},
};

const CHUNK_BYTES: u64 = 128 * 1024;

/// Why a walk ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// All frames up to the end were visited.
    End,
    /// The visitor asked for no more.
    Asked,
    /// There is no valid frame at the position that was reached.
    Broken,
}

/// Visits every frame in `from..end` of the segment that begins at `base`, with its position and payload.
/// `from` must be the position of a frame. Returns the position after the last frame that was visited.
pub(crate) fn walk(
    file: &mut File,
    base: u64,
    from: u64,
    end: u64,
    mut visit: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> io::Result<(u64, Stop)> {
    let mut buffer = Vec::new();
    let mut chunk = CHUNK_BYTES;
    let mut position = from;
    while position < end {
        let (start, wanted) = (position, chunk.min(end - position));
        buffer.clear();
        file.seek(SeekFrom::Start(start - base))?;
        file.take(wanted).read_to_end(&mut buffer)?;
        let mut bytes = buffer.as_slice();
        loop {
            match frame::decode(bytes, position) {
                Decoded::Frame { payload, frame_bytes, rest } => {
                    let wish = visit(position, payload);
                    position += frame_bytes;
                    bytes = rest;
                    if wish.is_break() {
                        return Ok((position, Stop::Asked));
                    }
                }
                Decoded::Incomplete => break,
                Decoded::Invalid => return Ok((position, Stop::Broken)),
            }
        }
        if position == start {
            // Not one frame fits into the chunk. The largest chunk holds any frame, and so does the rest.
            if chunk == MAX_FRAME_BYTES || start + wanted == end {
                return Ok((position, Stop::Broken));
            }
            chunk = MAX_FRAME_BYTES;
        }
    }
    Ok((position, Stop::End))
}

/// What opening a journal found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments that are retained.
    pub segments: usize,
    /// Valid records in them, forgotten ones of the first segment included.
    pub records: u64,
    /// Bytes of a torn group that were cut from the end.
    pub truncated_bytes: u64,
}

/// A directory in order.
pub(crate) struct Recovered {
    /// The last segment, to append to.
    pub(crate) file: File,
    /// The first positions of all segments.
    pub(crate) bases: VecDeque<u64>,
    /// The position after the last record.
    pub(crate) end: u64,
    pub(crate) forgotten_to: u64,
    pub(crate) recovery: Recovery,
}

/// Checks every retained record, cuts a torn tail, and makes sure that what remains is durable.
pub(crate) fn recover(dir: &Path) -> Result<Recovered, JournalError> {
    let checkpoint = files::read_checkpoint(dir)?;
    let mut bases = VecDeque::from(files::segment_bases(dir)?);
    // A crash may have come between the checkpoint and the removal of what it freed.
    while bases.get(1).is_some_and(|next| Some(*next) <= checkpoint) {
        bases.pop_front().map_or(Ok(()), |base| files::remove_segment(dir, base))?;
    }
    let mut recovery = Recovery::default();
    for (base, next) in bases.iter().zip(bases.iter().skip(1)) {
        check_closed(dir, *base, *next, &mut recovery)?;
    }
    let forgotten_to = checkpoint.max(bases.front().copied()).unwrap_or(0);
    let last = bases.back().map(|base| open_last(dir, *base, &mut recovery)).transpose()?;
    let (file, end) = match last {
        Some((file, end)) if end >= forgotten_to => (file, end),
        last => {
            // Only a power loss without synced records, or a lost file, leaves an end before the checkpoint.
            // Positions never go back, so the log goes on from there.
            if let Some((_, end)) = last {
                tracing::warn!(
                    end,
                    forgotten_to,
                    "the journal ends before its checkpoint; nothing is retained"
                );
            }
            let file = files::create_segment(dir, forgotten_to)?;
            for base in bases.drain(..) {
                files::remove_segment(dir, base)?;
            }
            bases.push_back(forgotten_to);
            recovery.records = 0;
            (file, forgotten_to)
        }
    };
    recovery.segments = bases.len();
    file.sync_all().and_then(|()| files::sync_dir(dir)).map_err(JournalError::io("sync", dir))?;
    Ok(Recovered { file, bases, end, forgotten_to, recovery })
}

/// A segment that has a successor was synced before that was created: it must be whole.
fn check_closed(dir: &Path, base: u64, next: u64, recovery: &mut Recovery) -> Result<(), JournalError> {
    let path = segment_path(dir, base);
    let mut file = File::open(&path).map_err(JournalError::io("open", &path))?;
    let length = file.metadata().map_err(JournalError::io("read", &path))?.len();
    let (position, stop) = walk(&mut file, base, base, next, |_, _| {
        recovery.records += 1;
        ControlFlow::Continue(())
    })
    .map_err(JournalError::io("read", &path))?;
    if stop == Stop::End && base + length == next {
        return Ok(());
    }
    Err(JournalError::Corrupt { segment: path, offset: position - base })
}

/// The last segment may end in a group that was not acknowledged and is not whole: that is cut.
fn open_last(dir: &Path, base: u64, recovery: &mut Recovery) -> Result<(File, u64), JournalError> {
    let path = segment_path(dir, base);
    let mut file = files::private().open(&path).map_err(JournalError::io("open", &path))?;
    let length = file.metadata().map_err(JournalError::io("read", &path))?.len();
    let (end, stop) = walk(&mut file, base, base, base + length, |_, _| {
        recovery.records += 1;
        ControlFlow::Continue(())
    })
    .map_err(JournalError::io("read", &path))?;
    if stop == Stop::Broken {
        recovery.truncated_bytes = base + length - end;
        let cut = recovery.truncated_bytes;
        tracing::warn!(segment = %path.display(), offset = end - base, cut, "cut a torn tail of the journal");
        file.set_len(end - base).map_err(JournalError::io("truncate", &path))?;
    }
    Ok((file, end))
}
