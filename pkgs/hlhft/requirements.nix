# The project file as Nix sees it: its version, and its requirements as packages of a Python package set. A requirement is
# a name, then version bounds; anything else fails here, at evaluation.
{ lib }:
let
  inherit ((lib.importTOML ../../pyproject.toml)) project;

  nameOf =
    requirement:
    let
      parts = builtins.match "([a-z0-9-]+)(>=[0-9.]+)?" requirement;
    in
    if parts == null then
      throw "pyproject.toml: the requirement ${requirement} is not a name with a lower bound"
    else
      lib.head parts;
in
{
  inherit (project) name version description;

  # The packages of the base installation, and with them those of the named extras.
  packages =
    extras: pythonPackages:
    map (requirement: pythonPackages.${nameOf requirement}) (
      project.dependencies ++ lib.concatMap (extra: project.optional-dependencies.${extra}) extras
    );
}
