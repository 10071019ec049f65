//! The dashboard: pages for people, rendered here and usable without script.
//!
//! A page asks the same services as the API's handlers do and computes nothing that they do not. What it shows
//! follows from its address, which can be kept and shared. Texts are in `locales/`, templates in `templates/`.

use actix_web::{middleware::from_fn, web};

use crate::api::changes;

mod accounts;
mod address;
mod alerts;
mod assets;
mod audit;
mod charts;
mod compression;
mod cursor;
mod details;
mod figures;
mod format;
mod forms;
mod frame;
mod home;
mod language;
mod open_webui;
mod organization;
mod parties;
mod percent;
mod preferences;
mod problem;
mod range;
mod reseller;
mod sign_in;
mod table;
mod told;
mod visit;

pub(crate) use frame::Tab;
pub(crate) use problem::unknown;

/// The pages and their files.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    let form = web::FormConfig::default();
    let form = form.error_handler(|error, request| problem::unreadable_form(&error, request));
    config
        .app_data(form)
        .route("/", web::get().to(home::home))
        .route("/assets/{name}", web::get().to(assets::asset))
        .service(
            web::resource("/sign-in")
                .route(web::get().to(sign_in::show_sign_in))
                .route(web::post().to(sign_in::sign_in)),
        )
        .service(
            web::resource("/sign-in/link")
                .route(web::get().to(sign_in::show_link))
                .route(web::post().to(sign_in::open_link)),
        )
        .service(
            web::resource("/password")
                .wrap(from_fn(changes::audit_refusal))
                .route(web::get().to(sign_in::show_password))
                .route(web::post().to(sign_in::choose_password)),
        )
        .service(
            web::resource("/account/new")
                .wrap(from_fn(changes::audit_refusal))
                .route(web::get().to(sign_in::show_account))
                .route(web::post().to(sign_in::create_account)),
        )
        .service(
            web::resource("/sign-out")
                .wrap(from_fn(changes::audit_refusal))
                .route(web::post().to(sign_in::sign_out)),
        )
        .service(
            web::resource("/sign-out-everywhere")
                .wrap(from_fn(changes::audit_refusal))
                .route(web::post().to(sign_in::sign_out_everywhere)),
        )
        .route("/organizations", web::get().to(reseller::fleet))
        .service(
            web::scope("/organizations/{organization}")
                .configure(organization::routes)
                .wrap(from_fn(changes::take_effect))
                .wrap(from_fn(changes::audit_refusal)),
        )
        .service(
            web::scope("/reseller")
                .configure(reseller::routes)
                .wrap(from_fn(changes::take_effect))
                .wrap(from_fn(changes::audit_refusal)),
        );
}
