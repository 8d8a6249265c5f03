# Tests on booted machines. What each asserts stands in the Python file of its name, so that the same text is linted, typed, and
# run by the project's own drivers where NixOS's cannot boot.
{
  self,
  lib,
  pkgs,
}:
let
  scripts = lib.fileset.toSource {
    root = ../..;
    fileset = lib.fileset.fileFilter (file: file.hasExt "py") ./.;
  };

  # The test's script: its `check`, called with the machines by their names and with facts that only Nix knows.
  checking = name: machines: facts: ''
    import json
    import sys

    sys.path.insert(0, "${scripts}")
    from tests.nixos.${name} import check

    check(${lib.concatStringsSep ", " machines}, **json.loads(r"""${builtins.toJSON facts}"""))
  '';

  test =
    name:
    pkgs.testers.runNixOSTest (
      import ./${name}.nix {
        inherit
          self
          lib
          pkgs
          checking
          ;
      }
      # The file is linted and typed with the project; here it is imported.
      // {
        skipTypeCheck = true;
        skipLint = true;
      }
    );
in
lib.genAttrs [
  "appliance"
  "host"
  "kills"
  "node"
  "secrets"
  "switch"
] test
// {
  host-loss = test "host_loss";
  package = pkgs.testers.runNixOSTest (import ./package.nix { module = self.nixosModules.default; });
}
