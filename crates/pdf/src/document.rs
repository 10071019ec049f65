//! What a document consists of.

/// A document of A4 pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What a viewer shows as the document's name, and pages after the first at their top.
    pub title: String,
    /// The language of all texts, as in `pl`.
    pub language: &'static str,
    /// Whose document it is.
    pub author: String,
    /// What stands at the foot of each page, left of its number.
    pub footer: String,
    /// The content, in the order of reading.
    pub blocks: Vec<Block>,
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// The title, a heading of the first level.
    Title(String),
    /// A heading of the second level.
    Heading(String),
    /// A paragraph.
    Paragraph(String),
    /// A paragraph that must not be overlooked.
    Notice(String),
    /// Names and what they stand for, one a line.
    Facts(Vec<(String, String)>),
    /// Two parties side by side.
    Parties([Party; 2]),
    /// A table.
    Table(Table),
}

/// Somebody, with a heading of the second level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// What the party is.
    pub heading: String,
    /// Name, address and so on; the first one stands out.
    pub lines: Vec<String>,
}

/// A table. Its head is repeated on each page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, each with as many cells as there are columns.
    pub rows: Vec<Row>,
    /// How many percent of the page's width stay free on its left.
    pub indent: u8,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its head.
    pub title: String,
    /// How wide it is, in parts of the sum of all such columns. A column of numbers is as wide as they are, where that
    /// leaves enough for the words.
    pub width: u16,
    /// Where its texts stand.
    pub align: Align,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The texts.
    pub cells: Vec<String>,
    /// Whether it is a sum, which stands out.
    pub is_total: bool,
}

/// Where texts stand in their column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At its left edge, as words do.
    Left,
    /// At its right edge, as numbers do.
    Right,
}
