//! Where everything stands: a document becomes pages of drawing steps, and the tree of its structure.

use crate::{
    document::{Block, Document, Party},
    font::{Face, Fonts},
};

/// A4 in points.
pub(crate) const PAGE_WIDTH: f32 = 595.276;
pub(crate) const PAGE_HEIGHT: f32 = 841.89;
pub(crate) const LEFT: f32 = 48.0;
pub(crate) const WIDTH: f32 = PAGE_WIDTH - 2.0 * LEFT;
/// Where content begins and ends.
const TOP: f32 = 56.0;
const BOTTOM: f32 = PAGE_HEIGHT - 64.0;
/// The base line of what stands at the foot.
const FOOT: f32 = PAGE_HEIGHT - 36.0;

const BODY: f32 = 9.0;
const SMALL: f32 = 7.5;
const TITLE: f32 = 18.0;
const HEADING: f32 = 11.0;
/// The height of a line, in parts of the font's size.
pub(crate) const LEADING: f32 = 1.4;
/// Where the base line stands in it.
pub(crate) const ASCENT: f32 = 1.05;
/// What must fit below a heading, so that it never stands alone at the foot of a page.
const WITH_NEXT: f32 = 64.0;

/// One step of drawing.
#[derive(Debug)]
pub(crate) enum Step {
    /// A text, from a place on its base line on.
    Text { x: f32, y: f32, size: f32, face: Face, text: String, role: Role },
    /// A horizontal line.
    Line { x: f32, y: f32, length: f32, thickness: f32 },
    /// A shaded area.
    Shade { x: f32, y: f32, width: f32, height: f32 },
}

/// What a text is to who does not see the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A leaf of the structure, by its number. Several texts may make one.
    Leaf(usize),
    /// The head of a page, or that of a table on a page behind the first.
    Head,
    /// The foot of a page.
    Foot,
    /// The number of a page.
    PageNumber,
}

/// The structure.
#[derive(Debug)]
pub(crate) enum Node {
    Group(Kind, Vec<Node>),
    Leaf(usize),
}

/// What a part of the structure is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Heading(u16, String),
    Paragraph,
    Part,
    Table,
    TableHead,
    TableBody,
    TableRow,
    HeadCell,
    RowHead,
    Cell,
}

/// An entry of the table of contents that viewers show.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) text: String,
    pub(crate) page: usize,
    pub(crate) y: f32,
}

/// The pages as far as they are laid out.
pub(crate) struct Layout<'a> {
    pub(crate) fonts: &'a Fonts,
    pub(crate) pages: Vec<Vec<Step>>,
    pub(crate) tree: Vec<Node>,
    pub(crate) leaves: usize,
    pub(crate) entries: Vec<Entry>,
    /// Where the next block begins.
    pub(crate) y: f32,
}

impl<'a> Layout<'a> {
    pub(crate) fn of(document: &Document, fonts: &'a Fonts) -> Self {
        let mut layout =
            Self { fonts, pages: vec![Vec::new()], tree: Vec::new(), leaves: 0, entries: Vec::new(), y: TOP };
        for block in &document.blocks {
            layout.block(block);
        }
        layout.frame(document);
        layout
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Title(text) => {
                self.heading(1, TITLE, text);
                self.y += 6.0;
            }
            Block::Heading(text) => {
                self.y += 12.0;
                self.make_room(WITH_NEXT);
                self.heading(2, HEADING, text);
                self.y += 3.0;
            }
            Block::Paragraph(text) => self.paragraph(Face::Regular, text),
            Block::Notice(text) => self.paragraph(Face::Bold, text),
            Block::Facts(facts) => self.facts(facts),
            Block::Parties(parties) => self.parties(parties),
            Block::Table(table) => self.table(table),
        }
    }

    /// Begins another page where less than `height` is left of this one.
    pub(crate) fn make_room(&mut self, height: f32) -> bool {
        let is_full = self.y + height > BOTTOM && self.y > TOP;
        if is_full {
            self.pages.push(Vec::new());
            self.y = TOP;
        }
        is_full
    }

    pub(crate) fn draw(&mut self, step: Step) {
        if let Some(page) = self.pages.last_mut() {
            page.push(step);
        }
    }

    pub(crate) fn leaf(&mut self) -> usize {
        self.leaves += 1;
        self.leaves - 1
    }

    /// Lines of text below each other; a paragraph goes on on the next page.
    fn text(&mut self, x: f32, width: f32, face: Face, size: f32, text: &str, leaf: usize) {
        for line in self.fonts.lines(face, size, width, text) {
            self.make_room(size * LEADING);
            let y = self.y + size * ASCENT;
            self.draw(Step::Text { x, y, size, face, text: line, role: Role::Leaf(leaf) });
            self.y += size * LEADING;
        }
    }

    fn heading(&mut self, level: u16, size: f32, text: &str) {
        let leaf = self.leaf();
        let page = self.pages.len().saturating_sub(1);
        self.entries.push(Entry { text: text.to_owned(), page, y: self.y });
        self.text(LEFT, WIDTH, Face::Bold, size, text, leaf);
        self.tree.push(Node::Group(Kind::Heading(level, text.to_owned()), vec![Node::Leaf(leaf)]));
    }

    fn paragraph(&mut self, face: Face, text: &str) {
        let leaf = self.leaf();
        self.y += 6.0;
        // A few lines stay together.
        let lines = self.fonts.lines(face, BODY, WIDTH, text);
        self.make_room(lines.iter().map(|_| BODY * LEADING).sum::<f32>().min(WITH_NEXT));
        self.text(LEFT, WIDTH, face, BODY, text, leaf);
        self.tree.push(Node::Group(Kind::Paragraph, vec![Node::Leaf(leaf)]));
    }

    fn facts(&mut self, facts: &[(String, String)]) {
        let widest = facts.iter().map(|(name, _)| self.fonts.width(Face::Regular, BODY, name));
        let column = (widest.fold(0.0, f32::max) + 14.0).min(WIDTH / 2.0);
        self.y += 4.0;
        for (name, value) in facts {
            let (of_name, of_value) = (self.leaf(), self.leaf());
            self.make_room(BODY * LEADING);
            let (y, text) = (self.y + BODY * ASCENT, format!("{} ", self.fonts.shown(name)));
            let role = Role::Leaf(of_name);
            self.draw(Step::Text { x: LEFT, y, size: BODY, face: Face::Regular, text, role });
            self.text(LEFT + column, WIDTH - column, Face::Bold, BODY, value, of_value);
            self.tree.push(Node::Group(Kind::Paragraph, vec![Node::Leaf(of_name), Node::Leaf(of_value)]));
        }
    }

    fn parties(&mut self, parties: &[Party; 2]) {
        self.y += 10.0;
        self.make_room(WITH_NEXT);
        let (top, page, half) = (self.y, self.pages.len(), WIDTH / 2.0);
        let mut lowest = top;
        for (party, x) in parties.iter().zip([LEFT, LEFT + half]) {
            // Names and addresses are bounded, so that both fit on the page on which they begin.
            if self.pages.len() == page {
                self.y = top;
            }
            let leaf = self.leaf();
            self.text(x, half - 12.0, Face::Bold, HEADING, &party.heading, leaf);
            let heading = Kind::Heading(2, party.heading.clone());
            let mut children = vec![Node::Group(heading, vec![Node::Leaf(leaf)])];
            for (number, line) in party.lines.iter().enumerate() {
                let leaf = self.leaf();
                let face = if number == 0 { Face::Bold } else { Face::Regular };
                self.text(x, half - 12.0, face, BODY, line, leaf);
                children.push(Node::Group(Kind::Paragraph, vec![Node::Leaf(leaf)]));
            }
            self.tree.push(Node::Group(Kind::Part, children));
            lowest = if self.pages.len() == page { lowest.max(self.y) } else { self.y };
        }
        self.y = lowest + 4.0;
    }

    /// What stands around the content of every page, once it is known how many there are.
    fn frame(&mut self, document: &Document) {
        let count = self.pages.len();
        let (title, footer) = (self.fonts.shown(&document.title), &document.footer);
        let foot = self.fonts.lines(Face::Regular, SMALL, WIDTH - 70.0, footer);
        for (place, page) in self.pages.iter_mut().enumerate() {
            let mut text = |x: f32, y: f32, text: String, role| {
                page.push(Step::Text { x, y, size: SMALL, face: Face::Regular, text, role });
            };
            if place > 0 {
                text(LEFT, TOP - 20.0, title.clone(), Role::Head);
            }
            let mut y = FOOT;
            for line in &foot {
                text(LEFT, y, line.clone(), Role::Foot);
                y += SMALL * LEADING;
            }
            let number = format!("{} / {count}", place + 1);
            let x = LEFT + WIDTH - self.fonts.width(Face::Regular, SMALL, &number);
            text(x, FOOT, number, Role::PageNumber);
            page.push(Step::Line { x: LEFT, y: FOOT - 12.0, length: WIDTH, thickness: 0.5 });
        }
    }
}
