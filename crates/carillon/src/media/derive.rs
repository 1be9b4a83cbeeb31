//! Derivatives. (Being written.)
use super::Unfit;
use crate::App;
use crate::store::media::Media;
use carillon_networks::spec::Placement;
pub async fn derive(_app: &App, _media: &str) -> anyhow::Result<()> {
    Ok(())
}
pub async fn safety_net(_app: &App) -> anyhow::Result<usize> {
    Ok(0)
}
pub async fn rendition(
    _app: &App,
    _m: &Media,
    _p: &Placement,
) -> Result<carillon_networks::Media, Unfit> {
    Err(Unfit::NotYet)
}
