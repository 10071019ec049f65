//! Tagged PDF documents (PDF/UA-1, A4) of headings, paragraphs and tables.
//!
//! It knows texts only: whoever has figures formats them first, so that no number is ever a float on its way
//! here; the floats in this crate are places on a page. The same document gives the same bytes: no time and
//! no random id is in them. The font, Noto Sans, is embedded as far as it is used; its licence stands beside it
//! in `fonts/OFL.txt`.

#![expect(clippy::float_arithmetic, reason = "places on a page are floats; amounts are texts here")]

pub mod document;
mod font;
mod layout;
mod paint;
mod table;
#[cfg(test)]
mod tests;

pub use document::{Align, Block, Column, Document, Party, Row, Table};
pub use paint::{Error, render};
