//! How one record lies in a segment: length (u32), CRC-32 (u32), payload; numbers are little-endian.
//!
//! The checksum covers length, position and payload. A frame is therefore valid at its own place only:
//! bytes of another place, or of a file that was cut and written anew, do not pass for a record.

use crate::JournalError;

/// The largest record in bytes.
pub const MAX_RECORD_BYTES: u32 = 1024 * 1024;

const HEADER_BYTES: u64 = 8;

/// The largest frame in bytes.
pub(crate) const MAX_FRAME_BYTES: u64 = HEADER_BYTES + 1024 * 1024;

/// A payload whose length was checked.
pub(crate) struct Record {
    length: u32,
    payload: Vec<u8>,
}

impl Record {
    pub(crate) fn new(payload: Vec<u8>) -> Result<Self, JournalError> {
        // A file system may leave zeroes behind; because no record is empty, they never look like one.
        match u32::try_from(payload.len()) {
            Ok(length @ 1..=MAX_RECORD_BYTES) => Ok(Self { length, payload }),
            _ => Err(JournalError::RecordSize { bytes: payload.len() }),
        }
    }

    /// Bytes of the whole frame on disk.
    pub(crate) fn frame_bytes(&self) -> u64 {
        HEADER_BYTES + u64::from(self.length)
    }

    /// Appends the frame of this record, which will begin at `position`.
    pub(crate) fn encode(&self, position: u64, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.length.to_le_bytes());
        buffer.extend_from_slice(&checksum(self.length, position, &self.payload).to_le_bytes());
        buffer.extend_from_slice(&self.payload);
    }
}

/// What the bytes at one position are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded<'a> {
    Frame {
        payload: &'a [u8],
        frame_bytes: u64,
        /// What follows the frame.
        rest: &'a [u8],
    },
    /// More bytes are needed to tell.
    Incomplete,
    Invalid,
}

/// Reads the frame at the beginning of `bytes`, which lie at `position`.
pub(crate) fn decode(bytes: &[u8], position: u64) -> Decoded<'_> {
    let Some((length, bytes)) = bytes.split_first_chunk::<4>() else { return Decoded::Incomplete };
    let Some((sum, bytes)) = bytes.split_first_chunk::<4>() else { return Decoded::Incomplete };
    let length = u32::from_le_bytes(*length);
    if !(1..=MAX_RECORD_BYTES).contains(&length) {
        return Decoded::Invalid;
    }
    let split = usize::try_from(length).ok().and_then(|middle| bytes.split_at_checked(middle));
    let Some((payload, rest)) = split else { return Decoded::Incomplete };
    if checksum(length, position, payload) != u32::from_le_bytes(*sum) {
        return Decoded::Invalid;
    }
    Decoded::Frame { payload, frame_bytes: HEADER_BYTES + u64::from(length), rest }
}

fn checksum(length: u32, position: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(&position.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(payload: &[u8], position: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        Record::new(payload.to_vec()).unwrap().encode(position, &mut bytes);
        bytes
    }

    #[test]
    fn sizes_are_checked() {
        let largest = usize::try_from(MAX_RECORD_BYTES).unwrap();
        assert_eq!(Record::new(vec![0; largest]).unwrap().frame_bytes(), MAX_FRAME_BYTES);
        for bytes in [0, largest + 1] {
            let refused = Record::new(vec![0; bytes]);
            assert!(matches!(refused, Err(JournalError::RecordSize { bytes: b }) if b == bytes));
        }
    }

    #[test]
    fn zeroes_are_not_a_record() {
        assert_eq!(decode(&[0; 64], 0), Decoded::Invalid);
    }

    proptest! {
        #[test]
        fn reads_back(payload in prop::collection::vec(any::<u8>(), 1..200), position: u64, tail: [u8; 3]) {
            let mut bytes = frame(&payload, position);
            let frame_bytes = u64::try_from(bytes.len()).unwrap();
            bytes.extend_from_slice(&tail);
            let expected = Decoded::Frame { payload: &payload, frame_bytes, rest: &tail };
            prop_assert_eq!(decode(&bytes, position), expected);
        }

        #[test]
        fn valid_at_its_own_position_only(payload in prop::collection::vec(any::<u8>(), 1..50), here: u64, there: u64) {
            prop_assume!(here != there);
            let bytes = frame(&payload, here);
            prop_assert_eq!(decode(&bytes, there), Decoded::Invalid);
        }

        #[test]
        fn no_flipped_bit_passes(payload in prop::collection::vec(any::<u8>(), 1..50), at: prop::sample::Index, bit in 0..8) {
            let mut bytes = frame(&payload, 77);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            let passes = matches!(decode(&bytes, 77), Decoded::Frame { .. });
            prop_assert!(!passes);
        }

        #[test]
        fn a_part_is_incomplete(payload in prop::collection::vec(any::<u8>(), 1..50), at: prop::sample::Index) {
            let bytes = frame(&payload, 77);
            prop_assert_eq!(decode(&bytes[..at.index(bytes.len())], 77), Decoded::Incomplete);
        }
    }
}
