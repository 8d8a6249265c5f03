/* Stands for hl-visor in tests: a program linked dynamically for another system's loader. It says what it was told, then
 * answers on a node's two ports until it is stopped. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listening(int port) {
  int one = 1, server = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = INADDR_ANY};
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(server, (struct sockaddr *)&place, sizeof place) || listen(server, 8)) return -1;
  return server;
}

int main(int count, char **words) {
  /* The two for peers, and one that nobody but this host may reach, as the info server's is. */
  int ports[] = {4001, 4002, 3001};
  struct pollfd servers[3];
  FILE *told = fopen("told", "w");
  if (!told) return 1;
  for (int i = 1; i < count; i++) fprintf(told, "%s\n", words[i]);
  fclose(told);
  for (int i = 0; i < 3; i++) {
    servers[i] = (struct pollfd){.fd = listening(ports[i]), .events = POLLIN};
    if (servers[i].fd < 0) return 2;
  }
  while (poll(servers, 3, -1) > 0) {
    for (int i = 0; i < 3; i++) {
      if (servers[i].revents & POLLIN) {
        int client = accept(servers[i].fd, NULL, NULL);
        if (client >= 0) {
          (void)!write(client, "visor\n", 6);
          close(client);
        }
      }
    }
  }
  return 0;
}
