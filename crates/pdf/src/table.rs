//! Tables: rows as high as their highest cell, and a head on each page.

use crate::{
    document::{Align, Column, Row, Table},
    font::Face,
    layout::{ASCENT, Kind, LEADING, LEFT, Layout, Node, Role, Step, WIDTH},
};

const SIZE: f32 = 7.5;
/// Free space on each side of a text, and above and below it.
const SIDE: f32 = 4.0;
const ABOVE: f32 = 2.5;
/// What part of a table's width columns of words must have.
const LEAST_FOR_WORDS: f32 = 0.25;

/// A column's place.
struct Place {
    x: f32,
    width: f32,
    align: Align,
}

impl Layout<'_> {
    pub(crate) fn table(&mut self, table: &Table) {
        let places = self.places(table);
        let titles: Vec<String> = table.columns.iter().map(|column| column.title.clone()).collect();
        let has_head = titles.iter().any(|title| !title.is_empty());
        let mut groups = Vec::new();
        self.y += 4.0;
        if has_head {
            let leaves: Vec<usize> = titles.iter().map(|_| self.leaf()).collect();
            // With at least one row below it.
            self.make_room(self.height(&titles, &places, Face::Bold) * 2.0);
            self.head(&titles, &places, |place| {
                leaves.get(place).map_or(Role::Head, |leaf| Role::Leaf(*leaf))
            });
            let cells = leaves.into_iter().map(|leaf| Node::Group(Kind::HeadCell, vec![Node::Leaf(leaf)]));
            let row = Node::Group(Kind::TableRow, cells.collect());
            groups.push(Node::Group(Kind::TableHead, vec![row]));
        }
        let mut body = Vec::new();
        for row in &table.rows {
            let face = if row.is_total { Face::Bold } else { Face::Regular };
            if self.make_room(self.height(&row.cells, &places, face)) && has_head {
                // Who hears the document read has heard the head already.
                self.head(&titles, &places, |_| Role::Head);
            }
            body.push(self.row(row, &places, face));
        }
        groups.push(Node::Group(Kind::TableBody, body));
        self.tree.push(Node::Group(Kind::Table, groups));
        self.y += 2.0;
    }

    fn height(&self, cells: &[String], places: &[Place], face: Face) -> f32 {
        let lines = |(cell, place): (&String, &Place)| {
            let lines = self.fonts.lines(face, SIZE, place.width - 2.0 * SIDE, cell);
            lines.iter().map(|_| SIZE * LEADING).sum::<f32>()
        };
        cells.iter().zip(places).map(lines).fold(0.0, f32::max) + 2.0 * ABOVE
    }

    fn head(&mut self, titles: &[String], places: &[Place], role: impl Fn(usize) -> Role) {
        let height = self.height(titles, places, Face::Bold);
        if let (Some(first), Some(last)) = (places.first(), places.last()) {
            let (x, width) = (first.x, last.x + last.width - first.x);
            self.draw(Step::Shade { x, y: self.y, width, height });
        }
        for (number, (title, place)) in titles.iter().zip(places).enumerate() {
            self.cell(title, place, Face::Bold, role(number));
        }
        self.y += height;
    }

    fn row(&mut self, row: &Row, places: &[Place], face: Face) -> Node {
        let height = self.height(&row.cells, places, face);
        let mut cells = Vec::new();
        for (number, (text, place)) in row.cells.iter().zip(places).enumerate() {
            let kind = if number == 0 { Kind::RowHead } else { Kind::Cell };
            let leaf = self.leaf();
            self.cell(text, place, face, Role::Leaf(leaf));
            cells.push(Node::Group(kind, vec![Node::Leaf(leaf)]));
        }
        self.y += height;
        if let (Some(first), Some(last)) = (places.first(), places.last()) {
            let thickness = if row.is_total { 0.8 } else { 0.3 };
            let length = last.x + last.width - first.x;
            self.draw(Step::Line { x: first.x, y: self.y, length, thickness });
        }
        Node::Group(Kind::TableRow, cells)
    }

    /// A cell of the row that begins at the present height.
    fn cell(&mut self, text: &str, place: &Place, face: Face, role: Role) {
        let room = place.width - 2.0 * SIDE;
        let mut y = self.y + ABOVE + SIZE * ASCENT;
        for text in self.fonts.lines(face, SIZE, room, text) {
            let x = match place.align {
                Align::Left => place.x + SIDE,
                Align::Right => place.x + SIDE + room - self.fonts.width(face, SIZE, text.trim_end()),
            };
            self.draw(Step::Text { x, y, size: SIZE, face, text, role });
            y += SIZE * LEADING;
        }
    }

    /// The columns' places. All share the width by their parts, but a number is never broken: its column is at least as
    /// wide as its widest text, and then columns of words get less. Where they would get too little, columns of
    /// numbers are no wider than they must be; where that is not enough either, they break.
    fn places(&self, table: &Table) -> Vec<Place> {
        let indent = WIDTH * f32::from(table.indent.min(80)) / 100.0;
        let room = WIDTH - indent;
        let part = |column: &Column| f32::from(column.width.max(1));
        let all: f32 = table.columns.iter().map(part).sum();
        let share = |column: &Column| room * part(column) / all;
        let is_number = |column: &Column| column.align == Align::Right;
        let of_words: f32 = table.columns.iter().filter(|column| !is_number(column)).map(part).sum();
        let widest =
            |(place, column): (usize, &Column)| self.widest(table, place, &column.title) + 2.0 * SIDE;
        let tight: Vec<f32> = table.columns.iter().enumerate().map(widest).collect();
        let loose: Vec<f32> =
            table.columns.iter().zip(&tight).map(|(column, tight)| tight.max(share(column))).collect();
        let left = |widths: &[f32]| {
            let numbers = table.columns.iter().zip(widths).filter(|(column, _)| is_number(column));
            room - numbers.map(|(_, width)| *width).sum::<f32>()
        };
        let fitting = [loose, tight].into_iter().find(|widths| left(widths) >= room * LEAST_FOR_WORDS);
        let mut x = LEFT + indent;
        let place = |(place, column): (usize, &Column)| {
            let width = match &fitting {
                Some(widths) if is_number(column) => widths.get(place).copied().unwrap_or_default(),
                Some(widths) => left(widths) * part(column) / of_words,
                None => share(column),
            };
            let place = Place { x, width, align: column.align };
            x += width;
            place
        };
        table.columns.iter().enumerate().map(place).collect()
    }

    /// How wide the texts of a column are: its cells, and the longest word of its head.
    fn widest(&self, table: &Table, place: usize, title: &str) -> f32 {
        let words = title.split(' ').map(|word| self.fonts.width(Face::Bold, SIZE, &self.fonts.shown(word)));
        let cells = table.rows.iter().filter_map(|row| {
            let face = if row.is_total { Face::Bold } else { Face::Regular };
            Some(self.fonts.width(face, SIZE, &self.fonts.shown(row.cells.get(place)?)))
        });
        // Sums of the same widths in another order may differ in the last bit.
        words.chain(cells).fold(0.0, f32::max) + 0.5
    }
}
