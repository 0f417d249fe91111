//! Where the models under test compute.

use std::sync::LazyLock;

use candle_core::Device;

static DEVICE: LazyLock<Device> = LazyLock::new(|| match std::env::var("ZOETROPE_TEST_DEVICE").as_deref() {
    Ok("cuda") => Device::new_cuda(0).expect("the tests were asked to run on CUDA device 0"),
    Ok("cpu") | Err(_) => Device::Cpu,
    Ok(other) => panic!("ZOETROPE_TEST_DEVICE is {other:?}; it takes cpu or cuda"),
});

/// The device under test: that of `ZOETROPE_TEST_DEVICE`, else the CPU.
pub(crate) fn device() -> Device {
    DEVICE.clone()
}

/// Whether our own kernels compute: on the CPU, unless `ZOETROPE_OPS=candle`.
pub(crate) fn kernels() -> bool {
    device().is_cpu() && std::env::var("ZOETROPE_OPS").as_deref() != Ok("candle")
}

/// Says that a check is left out where our kernels do not compute.
pub(crate) fn skipped(what: &str) {
    println!("skipped: {what} need the CPU's own kernels");
}
