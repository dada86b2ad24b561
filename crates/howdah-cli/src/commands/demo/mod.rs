//! stub
use super::Answer;
use crate::args::Global;
use crate::failure::Result;
use crate::output::Output;
use clap::Args;
#[derive(Debug, Args)]
pub(crate) struct Demo {}
#[derive(Debug, Args)]
pub(crate) struct DemoWorker {}
pub(crate) mod worker {
    use super::*;
    pub(crate) async fn run(_: DemoWorker) -> Result<Answer> {
        Ok(Answer::Yes)
    }
}
pub(crate) async fn run(_: &Global, _: Output, _: Demo) -> Result<Answer> {
    Ok(Answer::Yes)
}
