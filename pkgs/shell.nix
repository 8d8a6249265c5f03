# `nix develop`: the Python of the Makefile, with everything pyproject.toml names but the training libraries.
{
  lib,
  mkShell,
  python3,
  gnumake,
  git,
  ruff,
  nixfmt,
  chromium,
  chromedriver,
  prometheus,
  prometheus-alertmanager,
  gnupg,
  sops,
  age,
  openssh,
  wireguard-tools,
}:
let
  requirements = import ./hlhft/requirements.nix { inherit lib; };
in
mkShell {
  name = "hlhft";
  packages = [
    (python3.withPackages (
      requirements.packages [
        "research"
        "scale"
        "dev"
      ]
    ))
    gnumake
    git
    ruff
    # What tests start and scripts call.
    nixfmt
    chromium
    chromedriver
    prometheus
    prometheus-alertmanager
    gnupg
    sops
    age
    openssh
    wireguard-tools
  ];
}
