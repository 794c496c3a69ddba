//! In the making.
use super::print_flags::ResourcePrinter;
use crate::kubectl::error::{KubectlError, Result};
#[derive(Default)]
pub struct KyamlPrinter;
impl KyamlPrinter {}
impl ResourcePrinter for KyamlPrinter {
    fn print(&mut self, _: &serde_json::Value, _: &mut String) -> Result<()> {
        Err(KubectlError::message("this format is in the making"))
    }
}
