//! Sending tables: text while it is read, and files that were written before.

use std::{
    fs::File,
    io::{self, Read},
};

use actix_web::{HttpResponse, HttpResponseBuilder, body::SizedStream, web};
use bytes::Bytes;
use futures_util::stream;

use super::{table::Table, text::TextFormat};
use crate::api::ApiError;

/// How much of a file is read at once.
const PIECE: usize = 64 * 1024;

/// The table as text. The first page is read before the answer begins, so that what fails at once fails with
/// its own status; what fails later breaks the answer off, which its client notices.
pub(super) async fn stream(
    mut answer: HttpResponseBuilder,
    mut table: Table,
    format: TextFormat,
) -> Result<HttpResponse, ApiError> {
    let head = format.head(&table.names);
    let first = page(&mut table, format).await?.unwrap_or_default();
    let first = Bytes::from(head + &first);
    let state = (Some(first), table);
    let pages = stream::try_unfold(state, move |(first, mut table)| async move {
        if let Some(first) = first {
            return Ok::<_, ApiError>(Some((first, (None, table))));
        }
        let next = page(&mut table, format).await?;
        Ok(next.map(|text| (Bytes::from(text), (None, table))))
    });
    Ok(answer.streaming(pages))
}

/// The next page as text, which is put together on a thread that serves no requests.
async fn page(table: &mut Table, format: TextFormat) -> Result<Option<String>, ApiError> {
    let Some(rows) = table.next().await? else { return Ok(None) };
    let names = table.names.clone();
    let text = web::block(move || format.rows(&names, &rows)).await;
    text.map(Some).map_err(|error| ApiError::internal(&error, None))
}

/// A file, from where it stands to its end.
pub(super) fn whole(mut answer: HttpResponseBuilder, file: File) -> Result<HttpResponse, ApiError> {
    let length = file.metadata().map_err(|error| ApiError::internal(&error, None))?.len();
    let pieces = stream::try_unfold(file, |file| async move {
        let (piece, file) = web::block(move || piece(file)).await.map_err(io::Error::other)??;
        Ok::<_, io::Error>(if piece.is_empty() { None } else { Some((Bytes::from(piece), file)) })
    });
    Ok(answer.body(SizedStream::new(length, pieces)))
}

fn piece(mut file: File) -> io::Result<(Vec<u8>, File)> {
    let mut piece = Vec::with_capacity(PIECE);
    Read::by_ref(&mut file).take(u64::try_from(PIECE).unwrap_or(0)).read_to_end(&mut piece)?;
    Ok((piece, file))
}
