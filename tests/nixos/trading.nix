# A host that trades on paper: engine, watchdog, exporter and the embedded exchange, with secrets made up for it.
{ self, pkgs }:
{
  imports = [
    self.nixosModules.default
    self.nixosModules.vm-test
    ./secrets-for-tests.nix
  ];
  # What the scripts ask the exchange with.
  environment.systemPackages = [ pkgs.python3 ];
  virtualisation = {
    cores = 4;
    memorySize = 6144;
  };
}
