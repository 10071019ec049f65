//! [`render`]: the laid out pages as a PDF.

use std::num::NonZeroU16;

use krilla::{
    Document as Pdf, SerializeSettings,
    color::luma,
    configure::{Accessibility, ConfigurationBuilder},
    destination::XyzDestination,
    geom::{PathBuilder, Point, Rect},
    metadata::Metadata,
    outline::{Outline, OutlineNode},
    page::PageSettings,
    paint::Fill,
    surface::Surface,
    tagging::{
        Artifact, ArtifactType, ContentTag, Identifier, Node as PdfNode, SpanTag, TableHeaderScope, Tag,
        TagGroup, TagKind, TagTree,
    },
};
use thiserror::Error as ThisError;

use crate::{
    document::Document,
    font::Fonts,
    layout::{Entry, Kind, LEFT, Layout, Node, PAGE_HEIGHT, PAGE_WIDTH, Role, Step},
};

/// Why there is no PDF. Neither happens with the fonts that are built in and blocks as this crate makes them.
#[derive(Debug, ThisError)]
pub enum Error {
    /// A built-in font cannot be read.
    #[error("a built-in font cannot be read")]
    Font,
    /// The document breaks a rule of PDF/UA.
    #[error("the document cannot be written as PDF/UA: {0}")]
    Pdf(String),
}

/// The bytes of a document. They depend on nothing but the document and the version of this program.
pub fn render(document: &Document) -> Result<Vec<u8>, Error> {
    let fonts = Fonts::load()?;
    let layout = Layout::of(document, &fonts);
    let configuration = ConfigurationBuilder::new().with_accessibility_validator(Accessibility::UA1).finish();
    let configuration = configuration.map_err(|error| Error::Pdf(format!("{error:?}")))?;
    let mut pdf = Pdf::new_with(SerializeSettings { configuration, ..SerializeSettings::default() });
    let mut leaves: Vec<Vec<Identifier>> = (0..layout.leaves).map(|_| Vec::new()).collect();
    for steps in &layout.pages {
        let size = PageSettings::from_wh(PAGE_WIDTH, PAGE_HEIGHT);
        let mut page =
            pdf.start_page_with(size.ok_or_else(|| Error::Pdf("no page of this size".to_owned()))?);
        let mut surface = page.surface();
        for step in steps {
            draw(&mut surface, step, &fonts, &mut leaves);
        }
        surface.finish();
        page.finish();
    }
    let mut tree = TagTree::new().with_lang(Some(document.language.to_owned()));
    for node in &layout.tree {
        if let Some(group) = group(node, &mut leaves) {
            tree.push(group);
        }
    }
    pdf.set_tag_tree(tree);
    pdf.set_outline(outline(layout.entries));
    pdf.set_metadata(
        Metadata::new()
            .title(document.title.clone())
            .language(document.language.to_owned())
            .authors(vec![document.author.clone()])
            .creator("mAI Usage".to_owned())
            .document_id(document.title.clone()),
    );
    pdf.finish().map_err(|error| Error::Pdf(format!("{error:?}")))
}

fn shade(lightness: u8) -> Fill {
    Fill { paint: luma::Color::new(lightness).into(), ..Fill::default() }
}

fn draw(surface: &mut Surface<'_>, step: &Step, fonts: &Fonts, leaves: &mut [Vec<Identifier>]) {
    match step {
        // Nothing to draw leaves its cell empty.
        Step::Text { text, .. } if text.is_empty() => {}
        Step::Text { x, y, size, face, text, role } => {
            let artifact = |kind| ContentTag::Artifact(Artifact::new(kind, None));
            let tag = match role {
                Role::Leaf(_) => ContentTag::Span(SpanTag::empty()),
                Role::Head => artifact(ArtifactType::Header),
                Role::Foot => artifact(ArtifactType::Footer),
                Role::PageNumber => artifact(ArtifactType::PageNumber),
            };
            surface.set_fill(Some(shade(if matches!(role, Role::Leaf(_)) { 0 } else { 70 })));
            let identifier = surface.start_tagged(tag);
            let glyphs = fonts.glyphs(*face, text);
            surface.draw_glyphs(Point::from_xy(*x, *y), &glyphs, fonts.font(*face), text, *size, false);
            surface.end_tagged();
            if let Role::Leaf(leaf) = role
                && let Some(parts) = leaves.get_mut(*leaf)
            {
                parts.push(identifier);
            }
        }
        Step::Line { x, y, length, thickness } => area(surface, [*x, *y, *length, *thickness], 120),
        Step::Shade { x, y, width, height } => area(surface, [*x, *y, *width, *height], 232),
    }
}

fn area(surface: &mut Surface<'_>, [x, y, width, height]: [f32; 4], lightness: u8) {
    let mut path = PathBuilder::new();
    if let Some(area) = Rect::from_xywh(x, y, width, height) {
        path.push_rect(area);
    }
    let Some(path) = path.finish() else { return };
    surface.set_fill(Some(shade(lightness)));
    surface.start_tagged(ContentTag::Artifact(Artifact::new(ArtifactType::Layout, None)));
    surface.draw_path(&path);
    surface.end_tagged();
}

/// A part of the structure with the pieces of the pages that belong to it; none for a leaf.
fn group(node: &Node, leaves: &mut [Vec<Identifier>]) -> Option<TagGroup> {
    let Node::Group(kind, children) = node else { return None };
    let mut group = TagGroup::new(tag(kind));
    for child in children {
        match child {
            Node::Leaf(leaf) => {
                for identifier in leaves.get_mut(*leaf).map(std::mem::take).unwrap_or_default() {
                    group.push(PdfNode::from(identifier));
                }
            }
            Node::Group(..) => {
                if let Some(child) = self::group(child, leaves) {
                    group.push(child);
                }
            }
        }
    }
    Some(group)
}

fn tag(kind: &Kind) -> TagKind {
    match kind {
        Kind::Heading(level, title) => {
            Tag::Hn(NonZeroU16::new(*level).unwrap_or(NonZeroU16::MIN), Some(title.clone())).into()
        }
        Kind::Paragraph => Tag::P.into(),
        Kind::Part => Tag::Section.into(),
        Kind::Table => Tag::Table.into(),
        Kind::TableHead => Tag::THead.into(),
        Kind::TableBody => Tag::TBody.into(),
        Kind::TableRow => Tag::TR.into(),
        Kind::HeadCell => Tag::TH(TableHeaderScope::Column).into(),
        Kind::RowHead => Tag::TH(TableHeaderScope::Row).into(),
        Kind::Cell => Tag::TD.into(),
    }
}

fn outline(entries: Vec<Entry>) -> Outline {
    let mut outline = Outline::new();
    for Entry { text, page, y } in entries {
        outline.push_child(OutlineNode::new(text, XyzDestination::new(page, Point::from_xy(LEFT, y))));
    }
    outline
}
