# The NixOS module: one file per service, each imported here after those it depends on.
{
  imports = [ ./package.nix ];
}
