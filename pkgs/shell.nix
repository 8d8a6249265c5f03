# `nix develop`: the Python of the Makefile, with everything pyproject.toml names but the training libraries.
{
  lib,
  mkShell,
  python3,
  gnumake,
  git,
  ruff,
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
        "dev"
      ]
    ))
    gnumake
    git
    ruff
  ];
}
