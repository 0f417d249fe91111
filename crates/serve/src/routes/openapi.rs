//! `GET /openapi.json`: the document of the routes, from their types.

use utoipa::OpenApi;

use super::{chat, completions, files, models, plan, responses, status, tokenize};

#[derive(OpenApi)]
#[openapi(
    info(title = "Zoetrope", description = "Questions about pictures and videos, in OpenAI's API."),
    paths(
        chat::chat,
        completions::completions,
        responses::responses,
        plan::plan,
        tokenize::tokenize,
        models::list,
        models::get,
        files::create,
        files::list,
        files::get,
        files::delete,
        files::content,
        files::frame,
        files::subtitles,
        status::health,
        status::ready,
        status::metrics,
    ),
    components(schemas(crate::wire::sampling::SamplingFields, crate::error::ErrorBody))
)]
struct Document;

/// The document.
pub(crate) async fn openapi() -> axum::Json<utoipa::openapi::OpenApi> {
    axum::Json(Document::openapi())
}
