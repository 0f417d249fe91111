//! An accelerator computes what the CPU's kernels compute.

use candle_core::{Device, Tensor};
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::prompt::GenerationPrompt;
use zoetrope_models::weights::LoadOptions;

use crate::compare::same;
use crate::conversations::conversations;
use crate::device::device;
use crate::formats::f32_format;
use crate::pipeline::{embed_conversation, with_settings};
use crate::schedule::{TestSequence, Wanted, varlen};
use crate::test_family::all;

#[test]
fn an_accelerator_gives_the_logits_of_the_cpu() {
    if device().is_cpu() {
        println!("skipped: there is no accelerator under test (ZOETROPE_TEST_DEVICE)");
        return;
    }
    for family in all() {
        let format = f32_format();
        let open = |device: Device| family.open(LoadOptions { device, ..LoadOptions::cpu(format.precision) });
        let (cpu, other) = (open(Device::Cpu), open(device()));
        for conversation in conversations() {
            let logits = |model: &dyn VideoLanguageModel| -> Tensor {
                let options = with_settings(Default::default());
                let embedded = embed_conversation(model, &conversation, &options, GenerationPrompt::Reply(""));
                let positions = embedded.prompt.positions;
                let sequence = TestSequence { name: conversation.name, x_td: embedded.x_td, positions };
                varlen(model, &[sequence], Wanted::All).remove(0)
            };
            let what = format!("{}, {}", family.name(), conversation.name);
            same(&what, &logits(&*other), &logits(&*cpu), format.through_everything(family.processor.info()));
        }
    }
}
