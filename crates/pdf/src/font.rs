//! The two faces: how wide texts are, and where they break.

use std::ops::Range;

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::{
    FontRef, MetadataProvider as _,
    charmap::Charmap,
    instance::{LocationRef, Size},
    metrics::GlyphMetrics,
};

use crate::paint::Error;

static REGULAR: &[u8] = include_bytes!("../fonts/NotoSans-Regular.ttf");
static BOLD: &[u8] = include_bytes!("../fonts/NotoSans-Bold.ttf");

/// What stands for a character that the font does not have.
const MISSING: char = '?';

/// Behind these a long word, such as the name of a model, is rather broken than elsewhere. Each is one byte long.
const BREAKABLE: [char; 4] = ['/', '-', ':', '_'];

/// One face of the font.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Regular,
    Bold,
}

/// Both faces, ready to measure and to draw.
pub(crate) struct Fonts {
    regular: Loaded,
    bold: Loaded,
}

/// A face. Characters are set one after another by their own widths, without kerning or ligatures, so that what is
/// measured is what is drawn.
struct Loaded {
    font: Font,
    charmap: Charmap<'static>,
    metrics: GlyphMetrics<'static>,
}

impl Loaded {
    fn new(bytes: &'static [u8]) -> Result<Self, Error> {
        let face = FontRef::new(bytes).map_err(|_| Error::Font)?;
        Ok(Self {
            font: Font::new(bytes.into(), 0).ok_or(Error::Font)?,
            charmap: face.charmap(),
            // Of an em of 1.
            metrics: face.glyph_metrics(Size::new(1.0), LocationRef::default()),
        })
    }

    fn glyph(&self, letter: char) -> (u32, f32) {
        let known = self.charmap.map(letter).or_else(|| self.charmap.map(MISSING)).unwrap_or_default();
        (known.to_u32(), self.metrics.advance_width(known).unwrap_or_default())
    }
}

impl Fonts {
    pub(crate) fn load() -> Result<Self, Error> {
        Ok(Self { regular: Loaded::new(REGULAR)?, bold: Loaded::new(BOLD)? })
    }

    fn face(&self, face: Face) -> &Loaded {
        match face {
            Face::Regular => &self.regular,
            Face::Bold => &self.bold,
        }
    }

    pub(crate) fn font(&self, face: Face) -> Font {
        self.face(face).font.clone()
    }

    /// How wide a text is.
    pub(crate) fn width(&self, face: Face, size: f32, text: &str) -> f32 {
        let face = self.face(face);
        text.chars().map(|letter| face.glyph(letter).1 * size).sum()
    }

    /// The glyphs of a text.
    pub(crate) fn glyphs(&self, face: Face, text: &str) -> Vec<KrillaGlyph> {
        let face = self.face(face);
        let glyph = |(start, letter): (usize, char)| {
            let (id, advance) = face.glyph(letter);
            let range: Range<usize> = start..start + letter.len_utf8();
            KrillaGlyph::new(GlyphId::new(id), advance, 0.0, 0.0, 0.0, range, None)
        };
        text.char_indices().map(glyph).collect()
    }

    /// A text as it can be shown: without control characters, and with another character for each that the
    /// font lacks.
    pub(crate) fn shown(&self, text: &str) -> String {
        let one = |letter: char| match letter {
            letter if letter.is_control() => ' ',
            letter if self.regular.charmap.map(letter).is_none() => MISSING,
            letter => letter,
        };
        text.chars().map(one).collect()
    }

    /// The lines of a text that are at most so wide: broken at spaces, and within a word that is wider. All but the
    /// last end with a space where they were broken at one.
    pub(crate) fn lines(&self, face: Face, size: f32, width: f32, text: &str) -> Vec<String> {
        let text = self.shown(text);
        let (mut lines, mut line) = (Vec::new(), String::new());
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if self.width(face, size, &longer) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(format!("{line} "));
            }
            line = String::new();
            for letter in word.chars() {
                line.push(letter);
                if self.width(face, size, &line) > width && line.chars().count() > 1 {
                    line.pop();
                    let rest = line.rfind(BREAKABLE).map(|place| line.split_off(place + 1));
                    lines.push(std::mem::take(&mut line));
                    line = rest.unwrap_or_default();
                    line.push(letter);
                }
            }
        }
        lines.push(line);
        lines
    }
}
