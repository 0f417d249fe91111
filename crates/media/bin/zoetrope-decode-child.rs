//! A decoder process for users of the library and for its tests (see `zoetrope_media::decoder_process` and `sandbox`).

fn main() -> std::io::Result<()> {
    #[cfg(unix)]
    if std::env::args().nth(1).as_deref() == Some(zoetrope_media::sandbox::ARGUMENT) {
        return zoetrope_media::sandbox::run();
    }
    zoetrope_media::decoder_process::run(std::io::stdin().lock(), std::io::stdout().lock())
}
