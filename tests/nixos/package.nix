# The command line is there for every user, and a backtest of the bundled recording works from a read-only store.
{ module }:
{
  name = "hlhft-package";

  nodes.machine = {
    imports = [ module ];
    services.hlhft.enable = true;
    users.users.researcher.isNormalUser = true;
    virtualisation.memorySize = 4096;
  };

  testScript = ''
    machine.wait_for_unit("multi-user.target")
    machine.succeed("su - researcher -c 'hlhft --version'")
    machine.succeed("su - researcher -c 'hlhft backtest --output run'")
    machine.succeed("test -s /home/researcher/run/report.html")
    machine.fail("su - researcher -c 'hlhft backtest no-such-file'")
  '';
}
