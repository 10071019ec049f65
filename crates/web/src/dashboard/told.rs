//! [`Told`]: what a page tells of a form that was sent, beside what it shows anyway.

use actix_web::HttpResponse;
use askama::Template;

use super::{
    figures::Notice,
    forms,
    frame::Frame,
    visit::{Visit, page_as},
};
use crate::api::ApiError;

/// A text that people copy.
pub(crate) struct Line {
    /// By which the button finds it.
    pub(crate) id: String,
    /// What it is.
    pub(crate) label: String,
    /// The text.
    pub(crate) value: String,
}

impl Line {
    /// A line of a page.
    pub(crate) fn new(id: &str, label: String, value: String) -> Self {
        Self { id: id.to_owned(), label, value }
    }
}

/// A secret that is shown in the answer to the form that made it, and never again.
pub(crate) struct Once {
    /// What it is.
    pub(crate) title: String,
    /// What to do with it.
    pub(crate) text: String,
    /// The secret.
    pub(crate) lines: Vec<Line>,
}

/// What became of a form.
#[derive(Default)]
pub(crate) struct Told {
    /// Why nothing was changed.
    pub(crate) refusal: Option<ApiError>,
    /// What was made.
    pub(crate) once: Option<Once>,
    /// What was done only in part.
    pub(crate) warning: Option<String>,
}

impl Told {
    /// Nothing was changed.
    pub(crate) fn refused(refusal: ApiError) -> Self {
        Self { refusal: Some(refusal), ..Self::default() }
    }

    /// A secret was made.
    pub(crate) fn once(once: Once) -> Self {
        Self { once: Some(once), ..Self::default() }
    }

    /// The notices of the page: what its address says was done, of `done`, and what was wrong, by `texts` as
    /// [`forms::refused`] has them.
    pub(crate) fn notices(
        &self,
        visit: &Visit,
        frame: &Frame,
        done: &[&str],
        texts: &[(&str, &str)],
    ) -> Result<Vec<Notice>, ApiError> {
        let mut notices: Vec<Notice> = forms::done(visit, done).into_iter().collect();
        if let Some(text) = &self.warning {
            notices.push(Notice { kind: "warning", text: text.clone() });
        }
        if let Some(refusal) = &self.refusal {
            notices.push(forms::refused(frame, refusal.clone(), texts)?);
        }
        Ok(notices)
    }
}

/// The page with the status of the refusal, which stays in the answer for the audit log.
pub(crate) fn answer(template: &impl Template, refusal: Option<ApiError>) -> Result<HttpResponse, ApiError> {
    page_as(template, refusal.map_or_else(|| HttpResponse::Ok().finish(), HttpResponse::from_error))
}

/// A visit that sent a form, as of the page so many levels above, on which the form stood. Its links lead there, and
/// of the values of its address stay those that the page keeps.
pub(crate) fn on_page(mut visit: Visit, levels: usize, kept: &[&str]) -> Visit {
    let mut path = visit.address.path();
    for _ in 0..levels {
        path = path.rsplit_once('/').map_or(path, |(above, _)| above);
    }
    visit.reader.address = visit.address.sharing(path, kept);
    visit
}
