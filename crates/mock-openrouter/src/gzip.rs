//! A gzip writer that stores without compressing (RFC 1951 3.2.4, RFC 1952), enough to be an encoding nobody asked for.

/// Longest part of one stored block.
pub(crate) const BLOCK: usize = 32 * 1024;

/// One gzip member that is written part by part; each part can be decoded as soon as it has arrived.
pub(crate) struct Gzip {
    crc: crc32fast::Hasher,
    length: u32,
    started: bool,
}

impl Gzip {
    /// A member without content.
    pub(crate) fn new() -> Self {
        Self { crc: crc32fast::Hasher::new(), length: 0, started: false }
    }

    /// Appends `data` to `out`, with the member's header before the first part.
    pub(crate) fn part(&mut self, data: &[u8], out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            // Magic, deflate, no flags, no time, no extra flags, unknown system.
            out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
        }
        self.crc.update(data);
        for block in data.chunks(BLOCK) {
            let length = u16::try_from(block.len()).unwrap_or(0);
            self.length = self.length.wrapping_add(u32::from(length));
            out.push(0);
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&(!length).to_le_bytes());
            out.extend_from_slice(block);
        }
    }

    /// Appends the final empty block, the checksum and the length.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
        let crc = std::mem::take(&mut self.crc).finalize();
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
    }
}
