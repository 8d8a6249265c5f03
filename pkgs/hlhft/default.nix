# The engine with what selection in sweeps needs; without torch, so that a trading host stays small. `extras` adds others
# of pyproject.toml's: with "alpha" it trains and serves models. `tools` are programs that its own find.
{
  lib,
  installShellFiles,
  makeWrapper,
  python3Packages,
  extras ? [ "research" ],
  tools ? [ ],
  pname ? requirements.name,
  requirements ? import ./requirements.nix { inherit lib; },
}:
let
  # An app of the flake takes no arguments of its own, so each that names a command is a program.
  programs = [
    "backtest"
    "demo"
    "deploy"
    "exchange"
    "mine"
    "train"
  ];
  path = lib.optionalString (tools != [ ]) "--prefix PATH : ${lib.makeBinPath tools}";
in
python3Packages.buildPythonApplication {
  inherit pname;
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
      ../../tests
      ../../docs/configuration.md
    ];
  };

  build-system = [ python3Packages.setuptools ];
  dependencies = requirements.packages extras python3Packages;

  nativeBuildInputs = [
    installShellFiles
    makeWrapper
  ];
  postInstall =
    lib.concatMapStrings (program: ''
      makeWrapper "$out/bin/hlhft" "$out/bin/hlhft-${program}" --add-flags ${program} ${path}
    '') programs
    + ''
      export HOME=$TMPDIR HLHFT_CACHE=$TMPDIR/cache
      installShellCompletion --cmd hlhft \
        --bash <("$out/bin/hlhft" completion bash) \
        --zsh <("$out/bin/hlhft" completion zsh) \
        --fish <("$out/bin/hlhft" completion fish)
    '';

  # Those that compile nothing and ask nobody; all of them want recordings and minutes: `make test` runs them.
  nativeCheckInputs = [
    python3Packages.hypothesis
    python3Packages.pytestCheckHook
  ];
  preCheck = ''
    export HOME=$TMPDIR HLHFT_CACHE=$TMPDIR/cache
  '';
  enabledTestPaths = [ "tests/config" ];
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
