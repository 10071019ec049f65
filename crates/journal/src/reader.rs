//! Reading durable records back, so that a consumer that is behind costs disk and not memory.

use std::{fs::File, ops::ControlFlow};

use crate::{
    JournalError, Position,
    files::segment_path,
    segment::{Stop, walk},
    shared::Shared,
};

/// Records of one [`read`](crate::Journal::read).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Positions and payloads in order. Empty when there is nothing more yet.
    pub records: Vec<(Position, Vec<u8>)>,
    /// Where to read on; also what to forget below once these records are finished.
    pub next: Position,
}

/// The segment that was read last. It may hold a removed segment open, but never more than this one.
pub(crate) struct Cursor {
    file: File,
    base: u64,
    /// The position of a frame in the segment, or its end.
    position: u64,
}

pub(crate) fn read(
    shared: &Shared,
    cursor: &mut Option<Cursor>,
    from: Position,
    max_bytes: usize,
) -> Result<Batch, JournalError> {
    let mut batch = Batch { records: Vec::new(), next: from };
    let mut used = 0;
    while let Some((mut place, end)) = locate(shared, cursor, &mut batch.next)? {
        let (base, from) = (place.base, batch.next);
        let (reached, stop) = walk(&mut place.file, base, place.position, end, |position, payload| {
            // The walk begins before `from` when that is not where the last read ended.
            if position >= from.get() {
                used += payload.len();
                batch.records.push((Position::new(position), payload.to_vec()));
                if used >= max_bytes {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })
        .map_err(JournalError::io("read", &segment_path(&shared.settings.dir, base)))?;
        if stop == Stop::Broken && batch.records.is_empty() {
            let segment = segment_path(&shared.settings.dir, base);
            return Err(JournalError::Corrupt { segment, offset: reached - base });
        }
        place.position = reached;
        batch.next = Position::new(reached);
        *cursor = Some(place);
        // What precedes a damaged record is handed out; reading on from there is the error.
        if stop != Stop::End {
            break;
        }
    }
    Ok(batch)
}

/// Takes the open segment that holds `next`, at the last known frame before it, and the end of its durable part.
/// Moves `next` over what is forgotten. None if nothing durable is left to read.
fn locate(
    shared: &Shared,
    cursor: &mut Option<Cursor>,
    next: &mut Position,
) -> Result<Option<(Cursor, u64)>, JournalError> {
    loop {
        // What is read first is never ahead of what is read after it: the durable part ends behind what is
        // forgotten, and the segments reach over the durable part.
        let forgotten_to = shared.forgotten_to();
        let durable_end = shared.end();
        *next = (*next).max(Position::new(forgotten_to));
        let position = next.get();
        if position >= durable_end {
            return Ok(None);
        }
        // A segment may be forgotten and removed at any moment; then we look again, further on.
        let Some((base, following)) = shared.segment_at(position) else { continue };
        let end = following.unwrap_or(durable_end).min(durable_end);
        let place = match cursor.take() {
            Some(place) if place.base == base && place.position <= position => place,
            Some(place) if place.base == base => Cursor { position: base, ..place },
            _ => match open(shared, base, position)? {
                Some(file) => Cursor { file, base, position: base },
                None => continue,
            },
        };
        return Ok(Some((place, end)));
    }
}

/// Opens the segment that holds a position. None if it was forgotten and removed since it was looked up.
pub(crate) fn open(shared: &Shared, base: u64, position: u64) -> Result<Option<File>, JournalError> {
    let path = segment_path(&shared.settings.dir, base);
    match File::open(&path) {
        Ok(file) => Ok(Some(file)),
        Err(_) if shared.forgotten_to() > position => Ok(None),
        Err(source) => Err(JournalError::io("open", &path)(source)),
    }
}
