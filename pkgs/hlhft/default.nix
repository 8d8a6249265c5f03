# The engine with what selection in sweeps needs; without torch, so that a trading host stays small.
{
  lib,
  makeWrapper,
  python3Packages,
}:
let
  requirements = import ./requirements.nix { inherit lib; };
in
python3Packages.buildPythonApplication {
  pname = requirements.name;
  inherit (requirements) version;
  pyproject = true;

  src = lib.fileset.toSource {
    root = ../..;
    fileset = lib.fileset.unions [
      ../../pyproject.toml
      ../../README.md
      ../../LICENSE
      ../../THIRD_PARTY.md
      ../../hlhft
    ];
  };

  build-system = [ python3Packages.setuptools ];
  dependencies = requirements.packages [ "research" ] python3Packages;

  # An app of the flake takes no arguments of its own, so the one that backtests is a program.
  nativeBuildInputs = [ makeWrapper ];
  postInstall = ''
    makeWrapper "$out/bin/hlhft" "$out/bin/hlhft-backtest" --add-flags backtest
  '';

  # The tests compile for a minute and want recordings: `make test` in the development shell runs them.
  doCheck = false;
  pythonImportsCheck = [
    "hlhft"
    "hlhft.cli"
  ];

  meta = {
    inherit (requirements) description;
    license = lib.licenses.unfree;
    mainProgram = "hlhft";
    platforms = [ "x86_64-linux" ];
  };
}
